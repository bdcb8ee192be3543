package topology

import (
	"errors"
	"fmt"
	"io"
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
	f.readUserData(p, beside)
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

// maxUserData is AWS's limit (EC2 User Guide, User data).
const maxUserData = 16 << 10

// readUserData puts the contents of user_data_file into user_data.
func (f *File) readUserData(p *problems, beside fs.FS) {
	read := func(h *Head, inline, file *Value[string]) {
		switch {
		case inline.Set && file.Set:
			p.add(file.Line, h.String(), "user_data and user_data_file exclude one another")
		case file.Set:
			text, err := readSmall(beside, filepath.ToSlash(filepath.Clean(file.V)))
			if err != nil {
				p.add(file.Line, h.String(), "user_data_file: %v", err)
			}
			*inline = Value[string]{text, true, file.Line}
		}
		if len(inline.V) > maxUserData {
			p.add(inline.Line, h.String(), "user data has %d bytes; AWS takes at most %d", len(inline.V), maxUserData)
		}
	}
	for _, i := range f.Instances.List {
		read(&i.Head, &i.UserData, &i.UserDataFile)
	}
	for _, h := range f.InternetHosts.List {
		read(&h.Head, &h.UserData, &h.UserDataFile)
	}
}

func readSmall(fsys fs.FS, name string) (string, error) {
	if fsys == nil || !fs.ValidPath(name) {
		return "", fmt.Errorf("%q is not in the topology file's folder", shorten(name))
	}
	// Looked at before it is opened: opening a named pipe would wait for ever.
	switch info, err := fs.Stat(fsys, name); {
	case err != nil:
		return "", fmt.Errorf("%s: %w", name, cause(err))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file", name)
	}
	file, err := fsys.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, cause(err))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxUserData+1))
	return string(data), err
}

// cause is err without the operation and path that package os puts before it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
