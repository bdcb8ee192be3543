package topology

import (
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

const impaired = `version: 1
region: ap-northeast-1
internet: {impair: {delay: 10ms}}
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24, availability_zone: ap-northeast-1a, impair: {rate: 1gbit}}
  c: {vpc: main, cidr_block: 10.0.1.0/24, availability_zone: ap-northeast-1c}
instances:
  web: {subnet: a, impair: {delay: 20ms, jitter: 2ms, distribution: normal, loss: 0.5%, loss_burst: 3}}
  db: {subnet: c, impair: {egress: {rate: 1mbit, queue: 100 packets}, ingress: {rate: 10mbit, queue: 64kb}}}
internet_hosts:
  laptop: {impair: {delay: 5ms, reorder: 25%, gap: 5, egress: {}}}
impair:
  - {zones: [ap-northeast-1c, ap-northeast-1a], delay: 1ms}
  - {from: ap-northeast-1a, to: ap-northeast-1d, loss: 1%}
  - {zones: [ap-northeast-1d, ap-northeast-1d], delay: 0.1ms}
`

// told are a model's impairments, by place.
func told(m *vpc.Model) map[string]string {
	out := map[string]string{}
	for _, i := range m.Impairments.All() {
		name := m.PlaceName(i.Place)
		if i.To.ID != "" {
			name += " " + i.To.ID
		}
		out[name] = i.Egress.String() + " | " + i.Ingress.String()
	}
	return out
}

func TestImpair(t *testing.T) {
	m, _ := mustConverge(t, parseText(t, impaired), nil, Options{})
	want := map[string]string{
		"internet":                        "delay 10ms | delay 10ms",
		"a":                               "rate 1gbit | rate 1gbit",
		"web":                             "delay 20ms, jitter 2ms normal, loss 0.5%, loss burst 3 | delay 20ms, jitter 2ms normal, loss 0.5%, loss burst 3",
		"db":                              "rate 1mbit, queue 100 packets | rate 10mbit, queue 64000 bytes",
		"laptop":                          "perfect | delay 5ms, reorder 25%, gap 5",
		"ap-northeast-1a ap-northeast-1c": "delay 1ms | delay 1ms",
		"ap-northeast-1a ap-northeast-1d": "loss 1% | perfect",
		"ap-northeast-1d ap-northeast-1d": "delay 100µs | delay 100µs",
	}
	same := func(when string, m *vpc.Model) {
		t.Helper()
		got := told(m)
		for place, c := range want {
			if got[place] != c {
				t.Errorf("%s: %s is %q, want %q", when, place, got[place], c)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v", when, got)
		}
		if errs := m.Check(); len(errs) > 0 {
			t.Errorf("%s: %v", when, errs)
		}
	}
	same("new", &m)

	// What others did is put back.
	tx := vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID})
	run(t, tx, &vpc.ModifyImpairmentInput{Place: "web", Delay: "1s"})
	run(t, tx, &vpc.ModifyImpairmentInput{Place: "subnet:c", Loss: "100%"})
	run(t, tx, &vpc.ModifyImpairmentInput{Place: "internet"})
	run(t, tx, &vpc.ModifyImpairmentInput{Place: "zone:d", To: "zone:c", Direction: "egress", Delay: "1ms"})
	m, changes := mustConverge(t, parseText(t, impaired), &tx.Model, Options{})
	same("put back", &m)
	if got := strings.Join(changes, "\n"); got != "update subnet c: impair\nupdate instance web: impair\nupdate lab full: internet.impair; impair ap-northeast-1c ap-northeast-1d" {
		t.Errorf("%s", got)
	}

	// A change is made in place, and a key that is gone is too.
	text := strings.NewReplacer("delay: 20ms, jitter: 2ms, distribution: normal, ", "", ", impair: {rate: 1gbit}", "", "internet: {impair: {delay: 10ms}}\n", "").Replace(impaired)
	want["web"] = "loss 0.5%, loss burst 3 | loss 0.5%, loss burst 3"
	delete(want, "a")
	delete(want, "internet")
	m, changes = mustConverge(t, parseText(t, text), &m, Options{})
	same("changed", &m)
	if got := strings.Join(changes, "\n"); got != "update subnet a: impair\nupdate instance web: impair\nupdate lab full: internet.impair" {
		t.Errorf("%s", got)
	}

	// They go with their subject.
	text = strings.Replace(text, "  laptop:", "  other:", 1)
	want["other"] = want["laptop"]
	delete(want, "laptop")
	m, _ = mustConverge(t, parseText(t, text), &m, Options{})
	same("another host", &m)
}

func TestImpairMistakes(t *testing.T) {
	const head = "version: 1\nregion: ap-northeast-1\nvpcs: {main: {cidr_block: 10.0.0.0/16}}\nsubnets: {a: {vpc: main, cidr_block: 10.0.0.0/24}}\n"
	for text, want := range map[string]string{
		"instances:\n  web:\n    subnet: a\n    impair:\n      jitter: 2ms\n":                                      "file.yaml:9: instance web: impair.jitter: 2ms is not between 0s and the delay, 0s",
		"instances:\n  web:\n    subnet: a\n    impair: {egress: {delay: fast}}\n":                                 "file.yaml:8: instance web: impair.egress.delay: a time such as 20ms is wanted",
		"instances: {web: {subnet: a, impair: {loss: 0.01}}}\n":                                                    "put it in quotes",
		"instances: {web: {subnet: a, impair: {queue: 5}}}\n":                                                      "impair.queue: nothing waits where there is no rate",
		"instances: {web: {subnet: a, impair: {delay: 1ms, distribution: odd}}}\n":                                 "uniform or normal or pareto",
		"internet: {impair: {rate: 10}}\n":                                                                         "internet.impair.rate: ",
		"impair: [{zones: [ap-northeast-1a], delay: 1ms}]\n":                                                       "file.yaml:5: impair[0]: either zones",
		"impair: [{zones: [ap-northeast-1a, ap-northeast-1b], delay: 1ms}]\n":                                      `"ap-northeast-1b" is no availability zone of the region`,
		"impair: [{zones: [ap-northeast-1a, ap-northeast-1c], from: ap-northeast-1a, delay: 1ms}]\n":               "either zones",
		"impair:\n- {zones: [ap-northeast-1a, ap-northeast-1c]}\n- {from: ap-northeast-1c, to: ap-northeast-1a}\n": "file.yaml:7: impair[1]: line 6 says what is from ap-northeast-1c to ap-northeast-1a already",
	} {
		_, err := Parse("file.yaml", []byte(head+text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}
