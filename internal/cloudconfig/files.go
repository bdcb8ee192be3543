package cloudconfig

import (
	"encoding/base64"
	"fmt"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

const (
	defaultOwner = "root:root"
	defaultMode  = 0o644
)

// writeFiles reads write_files (cc_write_files.py). The files that are deferred are written when the packages
// have been installed and their users made.
func (m module) writeFiles(n *yaml.Node) {
	for i, item := range m.list(n, "files") {
		if item.Kind != yaml.MappingNode {
			m.fail(item.Line, "file %d is a mapping with path and content, not %s", i+1, describe(item))
			continue
		}
		f, deferred, ok := m.file(item, i+1)
		if !ok {
			continue
		}
		step := wire.Step{Module: m.key, Name: f.Path, File: f}
		if deferred {
			m.config.deferred = append(m.config.deferred, step)
		} else {
			m.config.files = append(m.config.files, step)
		}
	}
}

func (m module) file(n *yaml.Node, number int) (f *wire.File, deferred, ok bool) {
	f = &wire.File{Owner: defaultOwner, Mode: defaultMode}
	before := len(m.problems)
	var content *yaml.Node
	encoding := ""
	for _, e := range m.entries(n) {
		switch e.key {
		case "path":
			f.Path = m.text(e.value)
		case "content":
			content = e.value
		case "encoding":
			encoding = strings.ToLower(strings.TrimSpace(m.text(e.value)))
		case "owner":
			f.Owner = m.text(e.value)
		case "permissions":
			f.Mode = m.mode(e.value)
		case "append":
			f.Append = m.truth(e.value)
		case "defer":
			deferred = m.truth(e.value)
		case "source":
			if !isNull(e.value) {
				m.fail(e.line, "file %d: source is not supported: give the content here, or fetch it in runcmd", number)
			}
		default:
			m.warn("file %d: the key %q is unknown (line %d)", number, shorten(e.key), e.line)
		}
	}
	switch {
	case f.Path == "":
		m.fail(n.Line, "file %d has no path", number)
	case strings.ContainsRune(f.Path, 0):
		m.fail(n.Line, "file %d: the path has a null byte in it", number)
	default:
		f.Path = path.Clean("/" + f.Path)
	}
	if content != nil && len(m.problems) == before {
		var err error
		if f.Content, err = m.decode(m.text(content), encoding); err != nil {
			m.fail(content.Line, "file %d (%s): content: %v", number, f.Path, err)
		}
	}
	return f, deferred, len(m.problems) == before
}

// decode undoes the encoding of content (canonicalize_extraction).
func (m module) decode(text, encoding string) ([]byte, error) {
	data := []byte(text)
	var err error
	switch encoding {
	case "b64", "base64", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64":
		if data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return nil, fmt.Errorf("this is no base64: %w", err)
		}
	case "gz", "gzip", "", "text/plain":
	default:
		m.warn("the encoding %q is unknown; the content is taken as it is", shorten(encoding))
	}
	if strings.HasPrefix(encoding, "gz") {
		if data, err = m.gunzip(data); err != nil {
			return nil, fmt.Errorf("this is no gzip: %w", err)
		}
	}
	return data, nil
}

// mode is a file mode. A text is octal. So is a number with a leading 0, which YAML 1.1 reads that way, but one
// without is decimal, as in cloud-init, and nearly always a mistake.
func (m module) mode(n *yaml.Node) uint32 {
	text, ok := asText(n)
	base := 8
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && !strings.HasPrefix(text, "0") {
		base = 10
	}
	mode, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(text), "0o"), base, 16)
	switch {
	case isNull(n):
		return defaultMode
	case !ok || err != nil || mode > 0o7777:
		m.fail(n.Line, `permissions are octal digits in quotes, such as "0644", not %s`, describe(n))
		return defaultMode
	case base == 10:
		m.warn(`permissions %s (line %d) are a decimal number, octal %04o, which cloud-init takes as it is; you may mean "0%s"`, text, n.Line, mode, text)
	}
	return uint32(mode)
}
