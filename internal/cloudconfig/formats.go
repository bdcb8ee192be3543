package cloudconfig

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

const (
	// maxUnpacked bounds what compressed user data and files may unpack to, in bytes all together.
	maxUnpacked = 1 << 20
	maxParts    = 100
	maxNesting  = 4 // archives within archives
)

// Problem is a mistake in user data.
type Problem struct {
	Line int // in the user data, or in its part if Text names one; 0 if it has no place
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Parse understands user data. The plan is never nil: it leaves out what has problems and names them in its
// Failures, since cloud-init, too, goes on with the rest.
func Parse(data []byte) (*wire.Plan, []Problem) {
	p := &parser{plan: &wire.Plan{}, unpacked: maxUnpacked, budget: maxValues}
	p.add(part{name: "part-001", body: data, whole: true}, 0)
	p.finish()
	return p.plan, p.problems
}

// parser collects what the parts say.
type parser struct {
	plan     *wire.Plan
	problems []Problem
	unpacked int // bytes that may still be unpacked
	budget   int // values that may still be visited
	parts    int
	where    string // name of the part being read, empty if the user data is one

	merged  *yaml.Node // of all cloud-configs
	hooks   []wire.Step
	scripts []wire.Step
	perBoot []wire.Step
	config  config
}

func (p *parser) fail(line int, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if p.where != "" {
		text = p.where + ": " + text
	}
	problem := Problem{line, text}
	if slices.Contains(p.problems, problem) { // of an alias
		return
	}
	p.problems = append(p.problems, problem)
	p.plan.Failures = append(p.plan.Failures, problem.String())
}

func (p *parser) warn(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if p.where != "" {
		text = p.where + ": " + text
	}
	p.plan.Warnings = append(p.plan.Warnings, text)
}

// part is a piece of user data with its headers.
type part struct {
	name  string
	kind  string // content type, empty if not said
	merge string // Merge-Type
	body  []byte
	whole bool // it is all of the user data
}

// add deals with one part.
func (p *parser) add(x part, depth int) {
	if x.body = p.unpack(x); x.body == nil {
		return
	}
	if head := x.body[:min(len(x.body), 4096)]; x.kind == "" && x.recognise() == "" && bytes.Contains(bytes.ToLower(head), []byte("mime-version:")) { // not in a script that sends mail
		p.archive(x, depth)
		return
	}
	if p.where = x.name; x.whole {
		p.where = ""
	}
	defer func() { p.where = "" }()
	if p.parts++; p.parts > maxParts {
		if p.parts == maxParts+1 {
			p.fail(0, "more than %d parts", maxParts)
		}
		return
	}
	switch kind := x.recognise(); kind {
	case "text/x-shellscript", "text/x-shellscript-per-instance", "text/x-shellscript-per-once":
		p.scripts = append(p.scripts, script("scripts_user", "scripts/", x))
		p.is("script")
	case "text/x-shellscript-per-boot":
		p.perBoot = append(p.perBoot, script("scripts_per_boot", "scripts-per-boot/", x))
		p.is("script")
	case "text/cloud-boothook":
		_, rest, _ := bytes.Cut(x.body, []byte("#cloud-boothook"))
		x.body = bytes.TrimLeft(rest, " \t\r\n")
		p.hooks = append(p.hooks, script("boothook", "boothooks/", x))
		p.is("boothook")
	case "text/cloud-config":
		p.cloudConfig(x)
		p.is("cloud-config")
	case "text/cloud-config-archive":
		p.configArchive(x, depth)
	case "":
		if len(bytes.TrimSpace(x.body)) == 0 {
			return
		}
		p.is("data")
		p.warn("this is neither a script (#!) nor #cloud-config, so nothing is done about it: it begins %q; programs can read it at http://169.254.169.254/latest/user-data", firstLine(x.body))
	default:
		reason, known := refused[kind]
		if !known {
			p.warn("the content type %s is not known; nothing is done about it", kind)
			return
		}
		p.fail(0, "%s", reason)
	}
}

// is notes the kind of the user data.
func (p *parser) is(kind string) {
	if p.plan.Kind != "" && p.plan.Kind != kind {
		kind = "archive"
	}
	p.plan.Kind = kind
}

// beginnings tell a part's type (cloudinit/handlers/__init__.py, INCLUSION_TYPES_MAP), longest first.
var beginnings = []struct{ text, kind string }{
	{"#cloud-config-archive", "text/cloud-config-archive"}, {"#cloud-config-jsonp", "text/cloud-config-jsonp"}, {"## template: jinja", "text/jinja2"},
	{"#cloud-boothook", "text/cloud-boothook"}, {"#include-once", "text/x-include-once-url"}, {"#part-handler", "text/part-handler"},
	{"#cloud-config", "text/cloud-config"}, {"#include", "text/x-include-url"}, {"#!", "text/x-shellscript"},
}

// refused are formats that need more than what is in the user data.
var refused = map[string]string{
	"text/jinja2":             "a template (## template: jinja) is not supported: write out the values that it would fill in",
	"text/x-include-url":      "#include is not supported: put what it would fetch into the user data, or fetch it in a script",
	"text/x-include-once-url": "#include-once is not supported: put what it would fetch into the user data, or fetch it in a script",
	"text/part-handler":       "#part-handler is not supported: it would need cloud-init itself",
	"text/cloud-config-jsonp": "#cloud-config-jsonp is not supported: write the patched cloud-config",
}

// recognise is the type of a part: what it says, unless that is too general; then how it begins.
func (x part) recognise() string {
	switch x.kind {
	case "", "text/plain", "text/x-not-multipart", "text/x-shellscript":
	default:
		return x.kind
	}
	start := strings.ToLower(string(bytes.TrimLeft(x.body[:min(len(x.body), 256)], " \t\r\n")))
	for _, b := range beginnings {
		if strings.HasPrefix(start, b.text) {
			return b.kind
		}
	}
	if x.kind == "text/x-shellscript" {
		return x.kind
	}
	return ""
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
	return strings.ToValidUTF8(string(line[:min(len(line), 24)]), "?")
}

// script is the step that runs a part; names that the user gave to parts become file names.
func script(module, dir string, x part) wire.Step {
	name := path.Base(path.Clean("/" + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, x.name)))
	if name == "/" {
		name = "part"
	}
	name = name[:min(len(name), 100)]
	return wire.Step{Module: module, Name: name, Script: &wire.Script{Path: dir + name, Body: unixLines(x.body)}}
}

// unixLines does away with the line ends of Windows, of which a shell would make part of a command.
func unixLines(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

var gzipMagic = []byte{0x1f, 0x8b}

// unpack undoes gzip. nil means that it failed.
func (p *parser) unpack(x part) []byte {
	if !bytes.HasPrefix(x.body, gzipMagic) {
		if x.body == nil {
			return []byte{}
		}
		return x.body
	}
	data, err := p.gunzip(x.body)
	if err != nil {
		p.fail(0, "%s cannot be unpacked by gzip: %v", x.name, err)
		return nil
	}
	return data
}

var errTooLarge = fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)

func (p *parser) gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(p.unpacked)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > p.unpacked {
		return nil, errTooLarge
	}
	p.unpacked -= len(data)
	return data, nil
}

// archive takes a MIME archive apart (RFC 2046), or a single part with MIME headers.
func (p *parser) archive(x part, depth int) {
	if depth >= maxNesting {
		p.fail(0, "%s: archives are nested more than %d deep", x.name, maxNesting)
		return
	}
	m, err := mail.ReadMessage(bytes.NewReader(bytes.TrimLeft(x.body, "\r\n")))
	if err != nil {
		p.fail(0, "MIME archive: %v", err)
		return
	}
	p.entity(mailHeader(m.Header), m.Body, depth)
}

// header is what mail.Header and textproto.MIMEHeader have in common.
type header func(key string) string

func mailHeader(h mail.Header) header { return h.Get }

// entity reads what follows a MIME header: an archive's parts, or one part's content.
func (p *parser) entity(h header, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(h("Content-Type"))
	if h("Content-Type") != "" && err != nil {
		p.fail(0, "MIME archive: content type %q: %v", h("Content-Type"), err)
		return
	}
	if strings.HasPrefix(kind, "multipart/") {
		p.multipart(params["boundary"], body, depth)
		return
	}
	data, err := io.ReadAll(decodeTransfer(h("Content-Transfer-Encoding"), body))
	if err != nil {
		p.fail(0, "MIME archive: part %d: %v", p.parts+1, err)
		return
	}
	if _, compressed := compressedTypes[kind]; compressed {
		kind = ""
	}
	name := fmt.Sprintf("part-%03d", p.parts+1)
	if _, params, err := mime.ParseMediaType(h("Content-Disposition")); err == nil && params["filename"] != "" {
		name = params["filename"]
	}
	p.add(part{name: name, kind: kind, merge: firstOf(h("Merge-Type"), h("X-Merge-Type")), body: data}, depth+1)
}

func (p *parser) multipart(boundary string, body io.Reader, depth int) {
	if boundary == "" {
		p.fail(0, "MIME archive: the content type names no boundary")
		return
	}
	if depth >= maxNesting {
		p.fail(0, "MIME archive: nested more than %d deep", maxNesting)
		return
	}
	r := multipart.NewReader(body, boundary)
	for p.parts <= maxParts {
		m, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.fail(0, "MIME archive: after part %d: %v", p.parts, err)
			return
		}
		p.entity(m.Header.Get, m, depth+1)
	}
}

// compressedTypes are the content types that say gzip (cloudinit/user_data.py, DECOMP_TYPES).
var compressedTypes = map[string]struct{}{"application/gzip": {}, "application/gzip-compressed": {}, "application/gzipped": {}, "application/x-compress": {},
	"application/x-compressed": {}, "application/x-gunzip": {}, "application/x-gzip": {}, "application/x-gzip-compressed": {}}

func decodeTransfer(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body) // which skips line ends
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// configArchive takes a #cloud-config-archive apart: a list of texts, or of mappings with content, type and
// filename.
func (p *parser) configArchive(x part, depth int) {
	if depth >= maxNesting {
		p.fail(0, "archives are nested more than %d deep", maxNesting)
		return
	}
	root := p.readYAML(x.body)
	if root == nil {
		return
	}
	if root.Kind != yaml.SequenceNode {
		p.fail(root.Line, "an archive is a list, not %s", describe(root))
		return
	}
	for i, n := range p.items(root) {
		y := part{name: fmt.Sprintf("part-%03d", i+1), kind: ""}
		if n.Kind == yaml.MappingNode {
			for _, e := range p.entries(n) {
				text, _ := asText(e.value)
				switch e.key {
				case "content":
					y.body = []byte(text)
				case "type":
					y.kind = text
				case "filename":
					y.name = text
				}
			}
		} else if text, ok := asText(n); ok {
			y.body = []byte(text)
		} else {
			p.fail(n.Line, "entry %d of an archive is a text or a mapping, not %s", i+1, describe(n))
			continue
		}
		if y.kind == "" && y.recognise() == "" {
			y.kind = "text/cloud-config"
		}
		where := p.where
		p.add(y, depth+1)
		p.where = where
	}
}
