package cloudconfig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
)

// What a list of commands comes to when a shell runs it: one script, in which each command sees what those
// before have set, and which notes the failed ones.
func TestCommandsRun(t *testing.T) {
	for _, tt := range []struct {
		name, list, out, failed string
		ok                      bool
	}{
		{"texts and lists", "[echo $HOME | wc -l, [echo, $HOME, \"a'b\", 5, true]]", "1\n$HOME a'b 5 True\n", "", true},
		{"state is kept", "[cd /tmp, x=1, 'echo $PWD $x', null]", "/tmp 1\n", "", true},
		{"one fails, the others run", "['false', echo on, (exit 3), echo end]", "on\nend\n", "1 1\n3 3\n", true},
		{"the status of the command before", "[(exit 7), 'echo $?']", "7\n", "1 7\n", true},
		{"the last one's status is the script's", "[echo a, 'false']", "a\n", "", false},
		{"set -e", "[set -e, '[ -e /nosuch ] && echo b', 'false', echo c]", "", "2 1\n", false},
		{"a line that goes on", "[\"echo a \\\\\", b]", "a b\n", "", true},
		{"a loop over entries", "[for i in 1 2; do, echo $i, done]", "1\n2\n", "", true},
		{"here-document", "[\"cat <<E\\nx\\nE\"]", "x\n", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, "#cloud-config\nruncmd: "+tt.list+"\n").Final[0].Script
			dir := t.TempDir()
			note := filepath.Join(dir, "failed")
			script := filepath.Join(dir, "runcmd")
			if err := os.WriteFile(script, []byte(strings.ReplaceAll(string(s.Body), cloudconfig.FailedEntries, note)), 0o700); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("/bin/sh", script).Output()
			if (err == nil) != tt.ok {
				t.Errorf("ended with %v", err)
			}
			failed, _ := os.ReadFile(note)
			if diff := cmp.Diff(tt.out, string(out)); diff != "" {
				t.Errorf("output -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(tt.failed, string(failed)); diff != "" {
				t.Errorf("failed -want +got:\n%s", diff)
			}
		})
	}
}
