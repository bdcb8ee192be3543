package unit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// splitWords cuts a line into words: quotes of both kinds anywhere in a word, C escapes inside and outside
// of them (systemd.syntax(7), "Quoting"). An unknown escape keeps its backslash.
func splitWords(line string) ([]string, error) {
	var words []string
	var word []byte
	var quote byte
	inWord := false
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c == '\\':
			b, n := unescape(line[i:])
			word, inWord = append(word, b...), true
			i += n
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word = append(word, c)
		case c == '"' || c == '\'':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, string(word))
			}
			word, inWord = nil, false
		default:
			word, inWord = append(word, c), true
		}
		i++
	}
	if quote != 0 {
		return nil, fmt.Errorf("unbalanced quote in %q", line)
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}

var simpleEscapes = map[byte]byte{'a': 7, 'b': 8, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11, '\\': '\\', '"': '"', '\'': '\'', 's': ' '}

// unescape reads the escape at the start of s and returns what it stands for and how long it is.
func unescape(s string) ([]byte, int) {
	if len(s) < 2 {
		return []byte(s), len(s)
	}
	if b, ok := simpleEscapes[s[1]]; ok {
		return []byte{b}, 2
	}
	number := func(from, digits, base int) ([]byte, int) {
		if len(s) < from+digits {
			return []byte(s[:2]), 2
		}
		v, err := strconv.ParseUint(s[from:from+digits], base, 32)
		if err != nil || v == 0 {
			return []byte(s[:2]), 2
		}
		if digits > 3 {
			return utf8.AppendRune(nil, rune(v)), from + digits
		}
		return []byte{byte(v)}, from + digits
	}
	switch c := s[1]; {
	case c == 'x':
		return number(2, 2, 16)
	case c == 'u':
		return number(2, 4, 16)
	case c == 'U':
		return number(2, 8, 16)
	case c >= '0' && c <= '7':
		return number(1, 3, 8)
	}
	return []byte(s[:2]), 2
}

// expandArgs replaces variables in a command's arguments (systemd.service(5), "Command lines"): ${NAME}
// anywhere, $NAME only as a whole word and then cut into words, $$ is a dollar.
func expandArgs(args []string, env func(string) string) []string {
	var out []string
	for _, a := range args {
		name, ok := strings.CutPrefix(a, "$")
		if ok && validName(name) {
			if words, err := splitWords(env(name)); err == nil {
				out = append(out, words...)
			}
			continue
		}
		out = append(out, expandBraces(a, env))
	}
	return out
}

func expandBraces(s string, env func(string) string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			return b.String() + s
		}
		b.WriteString(s[:i])
		rest := s[i+1:]
		end := strings.IndexByte(rest, '}')
		switch {
		case rest[0] == '$':
			b.WriteByte('$')
			s = rest[1:]
		case rest[0] == '{' && end > 0 && validName(rest[1:end]):
			b.WriteString(env(rest[1:end]))
			s = rest[end+1:]
		default:
			b.WriteByte('$')
			s = rest
		}
	}
}

func validName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// specifiers replaces %x by values (systemd.unit(5), "Specifiers"); an unknown one stays as it is.
func specifiers(s string, values map[byte]string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i == len(s)-1 {
			b.WriteByte(s[i])
			continue
		}
		v, ok := values[s[i+1]]
		if !ok {
			v = s[i : i+2]
		}
		b.WriteString(v)
		i++
	}
	return b.String()
}

// unescapeName turns an escaped instance name into what it stands for (systemd-escape(1)).
func unescapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '-' {
			b.WriteByte('/')
			continue
		}
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if v, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
