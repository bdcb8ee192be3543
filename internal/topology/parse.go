package topology

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// Parse reads a topology file. name is its path: errors show it, the lab is named
// after it where the file gives no name, and user_data_file is looked for beside
// it. The error is an Errors with everything that is wrong, or nil; a file that
// parses can be converged to on a fresh lab.
func Parse(name string, data []byte) (*File, error) {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return parse(name, data, nil)
	}
	defer root.Close()
	return parse(name, data, root.FS())
}

// ParseFS is Parse for a file in a file system, such as the embedded topologies.
func ParseFS(fsys fs.FS, name string) (*File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parse(name, data, fsys)
}

// parse reads user_data_file in beside, which may be nil.
func parse(name string, data []byte, beside fs.FS) (*File, error) {
	p := &problems{file: name}
	f := &File{Path: name}
	n := readYAML(p, data)
	if n == nil {
		return nil, p.err()
	}
	d := decoder{problems: p}
	d.mapping(n, reflect.ValueOf(f).Elem(), "")
	if !f.Name.Set {
		f.nameAfterPath(p)
	}
	f.readUserData(p, data, beside)
	f.findRootfs(p)
	check(p, f)
	if err := p.err(); err != nil {
		return nil, err
	}
	// The operations know rules that the checks above do not repeat.
	if _, _, _, err := f.converge(nil, time.Time{}, Options{}, placeholderKeys); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) nameAfterPath(p *problems) {
	base := filepath.Base(f.Path)
	f.Name.V = strings.TrimSuffix(base, filepath.Ext(base))
	for _, k := range keysOf(reflect.TypeFor[File]()) {
		if k.goName == "Name" && !k.pattern.MatchString(f.Name.V) {
			p.add(1, "", "name is missing, and the file's name makes none (it has to match %s)", k.pattern)
		}
	}
}

// cause is err without the operation and path that package os puts before it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
