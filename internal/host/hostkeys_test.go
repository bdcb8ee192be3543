package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What ssh-keygen makes of the private half is the public half, with its comment.
func TestHostKeysAreOpenSSHs(t *testing.T) {
	keys, err := newHostKeys("root@web")
	if err != nil {
		t.Fatal(err)
	}
	other, err := newHostKeys("root@web")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for i, k := range keys {
		types = append(types, k.Type)
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(k.Private), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ssh-keygen", "-y", "-f", path).CombinedOutput()
		if err != nil || string(out) != k.Public {
			t.Errorf("%s: ssh-keygen -y: %v, %q; want %q", k.Type, err, out, k.Public)
		}
		if !strings.HasSuffix(k.Public, " root@web\n") {
			t.Errorf("%s: public key %q has not its comment", k.Type, k.Public)
		}
		if k.Private == other[i].Private || k.Public == other[i].Public {
			t.Errorf("%s: two instances have the same key", k.Type)
		}
	}
	if got := strings.Join(types, " "); got != "ed25519 ecdsa" {
		t.Errorf("types %s, want ed25519 ecdsa", got)
	}
}
