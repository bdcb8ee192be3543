package topology

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// rootfsName is what a file calls a Rootfs of the model.
func rootfsName(rootfs string) string { return cmp.Or(rootfs, vpc.RootfsHost) }

// findRootfs gives every machine its root file system: its own or the file's, words as they are and paths
// absolute.
func (f *File) findRootfs(p *problems) {
	f.Rootfs.V = f.rootfsPath(p, nil, f.Rootfs)
	resolve := func(h *Head, v *Value[string]) {
		if v.Set {
			v.V = f.rootfsPath(p, h, *v)
		} else if !refused(*v) {
			v.V = f.Rootfs.V
		}
	}
	for _, i := range f.Instances.List {
		resolve(&i.Head, &i.Rootfs)
	}
	for ami, path := range f.Images.V {
		if !vpc.WellFormed("ami-", ami) {
			p.add(f.Images.Line, "", "images: %q is no AMI ID: ami- and 17 hexadecimal digits", shorten(ami))
		}
		f.Images.V[ami] = f.rootfsPath(p, nil, Value[string]{V: path, Set: true, Line: f.Images.Line})
	}
	for _, h := range f.InternetHosts.List {
		resolve(&h.Head, &h.Rootfs)
	}
}

// rootfsPath resolves one value and tells of one that cannot work. What needs root to be looked at is left to the
// start of the instance.
func (f *File) rootfsPath(p *problems, h *Head, v Value[string]) string {
	if v.V == "" && v.Set || v.V == vpc.RootfsHost || v.V == vpc.RootfsHostReadOnly || !v.Set {
		if v.V == "" {
			v.V = vpc.RootfsHost
		}
		return v.V
	}
	object := ""
	if h != nil {
		object = h.String()
	}
	path := v.V
	if !filepath.IsAbs(path) {
		dir, err := filepath.Abs(filepath.Dir(f.Path))
		if err != nil {
			p.add(v.Line, object, "rootfs: %v", err)
			return vpc.RootfsHost
		}
		path = filepath.Join(dir, path)
	}
	path = filepath.Clean(path)
	if err := checkRootfs(path); err != nil {
		hint := ""
		if !strings.ContainsAny(v.V, "./") {
			hint = suggest(v.V, []string{vpc.RootfsHost, vpc.RootfsHostReadOnly})
		}
		p.add(v.Line, object, "rootfs: %s: %v%s", shorten(path), err, hint)
		return vpc.RootfsHost
	}
	return path
}

func checkRootfs(path string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return cause(err)
	case path == "/":
		return fmt.Errorf("this is the host's own root: write %s", vpc.RootfsHost)
	case !fi.IsDir() && !fi.Mode().IsRegular():
		return errors.New("neither a directory nor an archive")
	}
	return nil
}

// images are the lab's own as the model has them.
func (f *File) images() map[string]vpc.LabImage {
	if len(f.Images.V) == 0 {
		return nil
	}
	list := map[string]vpc.LabImage{}
	for ami, rootfs := range f.Images.V {
		if rootfs == vpc.RootfsHost {
			rootfs = ""
		}
		list[ami] = vpc.LabImage{Rootfs: rootfs}
	}
	return list
}
