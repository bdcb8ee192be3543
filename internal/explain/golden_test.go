package explain

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/topologies"
)

// texts runs a script: lines that begin with $ are operations on the model, the others
// traces, whose text it returns.
func texts(t testing.TB, l *lab, script string) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(strings.TrimSpace(script)) {
		line = l.Expand(strings.TrimSpace(line))
		if op, ok := strings.CutPrefix(line, "$ "); ok {
			l.Operate(op)
			out = append(out, line+"\n")
			continue
		}
		tr := l.trace(line)
		text := samePorts(Text(tr))
		for row := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(row, "\n")); n > width {
				t.Errorf("%s: %d columns: %s", line, n, row)
			}
		}
		out = append(out, "# "+line+"\n"+text)
	}
	return strings.Join(out, "\n")
}

// What users see of each lesson.
func TestTraceTextsOfTheLessons(t *testing.T) {
	scripts := map[string]string{
		"acl-and-groups":   "friend web tcp/80\nstranger web tcp/80\nfriend web tcp/8080",
		"acl-ephemeral":    "laptop web tcp/22\n$ create-network-acl-entry --network-acl-id public --egress --rule-number 100 --protocol tcp --port-range From=1024,To=65535 --cidr-block 0.0.0.0/0 --rule-action allow\nlaptop web tcp/22",
		"bastion":          "laptop bastion tcp/22\nbastion app tcp/22\nlaptop app tcp/22\nbastion app tcp/80\n$ revoke-security-group-ingress --group-id app --protocol tcp --port 22 --source-group bastion\nbastion app tcp/22",
		"book":             "laptop web tcp/22\nweb db tcp/3306\ndb server tcp/80\nlaptop db tcp/22\nlaptop nat tcp/22\nserver web tcp/3306\ninternet web tcp/80\ndb internet udp/53\nweb db icmp",
		"default-vpc":      "laptop web tcp/22\nweb laptop tcp/443",
		"eip-moves":        "laptop 203.0.113.80 tcp/80\nlaptop blue tcp/80",
		"nat-wrong-subnet": "app server tcp/80",
		"self-group":       "one two icmp\nother two icmp",
		"three-tier":       "laptop web-a tcp/443\nweb-a app-c tcp/8080\nweb-a app-a tcp/22\nweb-a db-a tcp/3306\napp-a laptop tcp/80\ndb-a laptop tcp/80\n$ delete-nat-gateway --nat-gateway-id nat-a\napp-a laptop tcp/80\napp-c laptop tcp/80",
	}
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			if scripts[name] == "" {
				t.Fatal("no traces of its lesson")
			}
			golden(t, "lesson-"+name+".golden", texts(t, embedded(t, name), scripts[name]))
		})
	}
}

// natPort is the port that a NAT gateway chose for a client's address, which differs from
// run to run.
var natPort = regexp.MustCompile(`NAT gateway .* source ([0-9.]+):[0-9]+ → [0-9.]+:([0-9]+)\n`)

// samePorts puts others in their place that do not: everywhere but at the client's own
// address.
func samePorts(text string) string {
	for i, m := range natPort.FindAllStringSubmatch(text, -1) {
		chosen := regexp.MustCompile(`([0-9.]+):` + m[2] + `\b`)
		text = chosen.ReplaceAllStringFunc(text, func(s string) string {
			address, _, _ := strings.Cut(s, ":")
			if address == m[1] {
				return s
			}
			return address + ":" + strconv.Itoa(20001+i)
		})
	}
	return text
}
