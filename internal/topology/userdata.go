package topology

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
)

// maxUserData is AWS's limit (EC2 User Guide, User data), in bytes as they are given, before base64.
const maxUserData = 16 << 10

// userDataKeys are the three ways of giving user data; the first takes over what the others say.
type userDataKeys struct {
	*Head
	inline, file, base64 *Value[string]
}

// readUserData puts the contents of user_data_file and user_data_base64 into user_data, and checks them. text is
// the topology file.
func (f *File) readUserData(p *problems, text []byte, beside fs.FS) {
	var all []userDataKeys
	for _, i := range f.Instances.List {
		all = append(all, userDataKeys{&i.Head, &i.UserData, &i.UserDataFile, &i.UserDataBase64})
	}
	for _, h := range f.InternetHosts.List {
		all = append(all, userDataKeys{&h.Head, &h.UserData, &h.UserDataFile, &h.UserDataBase64})
	}
	for _, u := range all {
		if u.read(p, beside) {
			u.check(p, text)
		}
	}
}

// read makes inline what is given; false means that there is nothing to check.
func (u userDataKeys) read(p *problems, beside fs.FS) bool {
	var err error
	data := u.inline.V
	switch {
	case u.inline.Set && u.file.Set:
		p.add(u.file.Line, u.String(), "user_data and user_data_file exclude one another")
	case u.inline.Set && u.base64.Set:
		p.add(u.base64.Line, u.String(), "user_data and user_data_base64 exclude one another")
	case u.file.Set && u.base64.Set:
		p.add(u.base64.Line, u.String(), "user_data_file and user_data_base64 exclude one another")
	case u.file.Set:
		data, err = readSmall(beside, filepath.ToSlash(filepath.Clean(u.file.V)))
		if err != nil {
			p.add(u.file.Line, u.String(), "user_data_file: %v", err)
		}
		*u.inline = Value[string]{data, true, u.file.Line}
	case u.base64.Set:
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(u.base64.V), ""))
		if err != nil {
			p.add(u.base64.Line, u.String(), "user_data_base64: this is no base64: %v", err)
			return false
		}
		data = string(b)
		*u.inline = Value[string]{data, true, u.base64.Line}
	}
	if len(data) > maxUserData {
		p.add(u.inline.Line, u.String(), "user data has %d bytes; AWS takes at most %d", len(data), maxUserData)
		return false
	}
	return err == nil && u.inline.Set
}

// check says what PID 1 would fail at.
func (u userDataKeys) check(p *problems, text []byte) {
	_, problems := cloudconfig.Parse([]byte(u.inline.V))
	for _, x := range problems {
		line := u.inline.Line
		switch first := blockLine(text, line); {
		case x.Line == 0:
			p.add(line, u.String(), "user data: %s", x.Text)
		case u.file.Set:
			p.add(line, u.String(), "user data: %s:%d: %s", u.file.V, x.Line, x.Text)
		case !u.base64.Set && first > 0:
			p.add(first+x.Line-1, u.String(), "user data: %s", x.Text)
		default:
			p.add(line, u.String(), "user data: %s", x)
		}
	}
}

// literal is the end of a line that begins a literal block (YAML 1.2, 8.1.2): only of these is a line of the text a
// line of the file.
var literal = regexp.MustCompile(`(^|\s)\|[-+0-9]*\s*(#.*)?$`)

// blockLine is the line in which the text of the literal block begins whose header is in the given line; 0 if it is
// no such block.
func blockLine(text []byte, line int) int {
	for range line - 1 {
		_, rest, ok := bytes.Cut(text, []byte("\n"))
		if !ok {
			return 0
		}
		text = rest
	}
	header, _, _ := bytes.Cut(text, []byte("\n"))
	if !literal.Match(bytes.TrimRight(header, "\r")) {
		return 0
	}
	return line + 1
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
