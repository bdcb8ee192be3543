package awscli

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Shorthand is AWS's short way to write structures on a command line:
// Name=vpc-id,Values=a,b or ResourceType=vpc,Tags=[{Key=Name,Value=x}]. The
// grammar, with its quirks, is that of awscli/shorthand.py:
//
//	parameter     = keyval *("," keyval)
//	keyval        = key ("=" / "@=") [values]
//	values        = csv-list / explicit-list / hash-literal
//	csv-list      = first-value *("," second-value)
//	explicit-list = "[" [explicit *("," explicit)] "]"
//	hash-literal  = "{" [key "=" explicit *("," key "=" explicit)] "}"
//
// A value is bare, 'quoted' or "quoted"; in a bare one a comma is written \, .
var (
	singleQuoted = regexp.MustCompile(`^'(?:\\'|[^'])*'`)
	doubleQuoted = regexp.MustCompile(`^"(?:\\"|[^"])*"`)
	// A bare value may begin with anything but space " ' , = [ {
	firstValue  = regexp.MustCompile(`^(?:\\,|[^\x00-\x20"',=\[{])(?:\\,|[^\x00-\x08\x0e-\x1f"',\]}])*`)
	secondValue = regexp.MustCompile(`^(?:\\,|[^\x00-\x20"',=\[{])(?:\\,|[^\x00-\x08\x0e-\x1f"',=])*`)
)

const (
	shorthandSpace = " \t\n\r\v\f"
	shorthandKey   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.#/:"
	shorthandDepth = 32 // no parameter of EC2 is nested deeper than 6
)

// syntaxError points at the place in a value that could not be read.
type syntaxError struct {
	text   string
	at     int // offset in bytes
	reason string
}

func (e *syntaxError) Error() string {
	at := min(e.at, len(e.text))
	begin := strings.LastIndexByte(e.text[:at], '\n') + 1
	end := len(e.text)
	if i := strings.IndexByte(e.text[at:], '\n'); i >= 0 {
		end = at + i
	}
	column := utf8.RuneCountInString(e.text[begin:at])
	return fmt.Sprintf("character %d: %s\n    %s\n    %s^", utf8.RuneCountInString(e.text[:at])+1, e.reason,
		e.text[begin:end], strings.Repeat(" ", column))
}

// parseShorthand reads one structure. Its values are strings, []any and
// map[string]any; resolve reads the file that a value after "@=" names.
func parseShorthand(text string, resolve func(string) (any, error)) (map[string]any, error) {
	p := &shorthandParser{text: text, resolve: resolve}
	m := map[string]any{}
	for {
		start := p.at
		key, value, err := p.keyval(p.values)
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			return nil, p.fail(start, fmt.Sprintf("%s is there twice; a further structure is a further argument, after a space, not a comma", key))
		}
		m[key] = value
		if p.end() {
			return m, nil
		}
		if err := p.expect(','); err != nil {
			return nil, err
		}
	}
}

type shorthandParser struct {
	text    string
	at      int
	depth   int
	files   bool // the value after "@="
	resolve func(string) (any, error)
}

func (p *shorthandParser) end() bool { return p.at >= len(p.text) }

// current is the byte at hand, 0 at the end.
func (p *shorthandParser) current() byte {
	if p.end() {
		return 0
	}
	return p.text[p.at]
}

func (p *shorthandParser) fail(at int, reason string) error {
	return &syntaxError{p.text, at, reason}
}

func (p *shorthandParser) space() {
	for !p.end() && strings.IndexByte(shorthandSpace, p.text[p.at]) >= 0 {
		p.at++
	}
}

// expect takes a character and the white space around it.
func (p *shorthandParser) expect(c byte) error {
	p.space()
	if p.end() {
		return p.fail(p.at, fmt.Sprintf("%q expected, but the value ends here", c))
	}
	if p.text[p.at] != c {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		return p.fail(p.at, fmt.Sprintf("%q expected, found %q", c, r))
	}
	p.at++
	p.space()
	return nil
}

func (p *shorthandParser) keyval(values func() (any, error)) (string, any, error) {
	start := p.at
	for !p.end() && strings.IndexByte(shorthandKey, p.text[p.at]) >= 0 {
		p.at++
	}
	key := p.text[start:p.at]
	p.space()
	p.files = p.current() == '@'
	if p.files {
		p.at++
	}
	if err := p.expect('='); err != nil {
		return "", nil, err
	}
	v, err := values()
	return key, v, err
}

func (p *shorthandParser) values() (any, error) {
	switch p.current() {
	case 0:
		return "", nil
	case '[':
		return p.list()
	case '{':
		return p.hash()
	}
	return p.csv()
}

// csv reads a scalar, or several after one another: of a=b,c=d the comma ends
// the value, of a=b,c it does not, which only the following "=" tells.
func (p *shorthandParser) csv() (any, error) {
	first, err := p.first()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.current() != ',' {
		return first, nil
	}
	list := []any{first}
	for !p.end() {
		comma := p.at
		if err := p.expect(','); err != nil {
			return nil, err
		}
		quoted := p.current() == '\'' || p.current() == '"' // no key begins so
		v, err := p.second()
		p.space()
		if err == nil && !p.end() && p.current() != ',' {
			err = p.expect(',')
		}
		if err != nil {
			if p.end() || quoted {
				return nil, err
			}
			p.at = comma
			break
		}
		list = append(list, v)
	}
	if len(list) == 1 {
		return first, nil
	}
	return list, nil
}

func (p *shorthandParser) list() (any, error) {
	if err := p.enter('['); err != nil {
		return nil, err
	}
	list := []any{}
	for p.current() != ']' {
		v, err := p.explicit()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if err := p.separator(']'); err != nil {
			return nil, err
		}
	}
	p.at++
	p.depth--
	return list, nil
}

func (p *shorthandParser) hash() (any, error) {
	if err := p.enter('{'); err != nil {
		return nil, err
	}
	m := map[string]any{}
	for p.current() != '}' {
		key, v, err := p.keyval(p.explicit)
		if err != nil {
			return nil, err
		}
		m[key] = v
		if err := p.separator('}'); err != nil {
			return nil, err
		}
	}
	p.at++
	p.depth--
	return m, nil
}

func (p *shorthandParser) enter(open byte) error {
	if p.depth++; p.depth > shorthandDepth {
		return p.fail(p.at, "nested too deeply")
	}
	return p.expect(open)
}

// separator takes a comma unless the list or structure ends.
func (p *shorthandParser) separator(closing byte) error {
	p.space()
	if p.current() == closing {
		return nil
	}
	if p.end() {
		return p.fail(p.at, fmt.Sprintf("%q or ',' expected, but the value ends here", closing))
	}
	return p.expect(',')
}

func (p *shorthandParser) explicit() (any, error) {
	switch p.current() {
	case '[':
		return p.list()
	case '{':
		return p.hash()
	}
	return p.first()
}

// first reads a value after "=", "[" or in an explicit list. It may be empty.
func (p *shorthandParser) first() (any, error) {
	if c := p.current(); c == '\'' || c == '"' {
		return p.quoted(c)
	}
	return p.bare(firstValue.FindString(p.text[p.at:]))
}

// second reads a further value of a list without brackets.
func (p *shorthandParser) second() (any, error) {
	if c := p.current(); c == '\'' || c == '"' {
		return p.quoted(c)
	}
	v := secondValue.FindString(p.text[p.at:])
	if v == "" {
		return nil, p.fail(p.at, "a value expected")
	}
	return p.bare(v)
}

func (p *shorthandParser) bare(v string) (any, error) {
	p.at += len(v)
	return p.file(strings.TrimRight(strings.ReplaceAll(v, `\,`, ","), shorthandSpace))
}

func (p *shorthandParser) quoted(quote byte) (any, error) {
	pattern := singleQuoted
	if quote == '"' {
		pattern = doubleQuoted
	}
	v := pattern.FindString(p.text[p.at:])
	if v == "" {
		return nil, p.fail(p.at, fmt.Sprintf("the closing %c is missing", quote))
	}
	p.at += len(v)
	v = strings.ReplaceAll(v[1:len(v)-1], `\`+string(quote), string(quote))
	return p.file(strings.ReplaceAll(v, `\\`, `\`))
}

func (p *shorthandParser) file(v string) (any, error) {
	if !p.files {
		return v, nil
	}
	return p.resolve(v)
}

// sortedKeys are the keys of a structure in order, so that of several errors the
// same one is told each time.
func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
