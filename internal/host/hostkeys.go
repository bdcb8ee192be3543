package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// newHostKeys makes SSH host keys as `ssh-keygen -A` does, in a hundredth of its time: ssh-keygen is two
// processes a new instance. There is no RSA key, which would take a second of CPU; only clients older than
// ten years ask for one.
func newHostKeys(comment string) ([]wire.HostKey, error) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	var keys []wire.HostKey
	for _, k := range []struct {
		name    string
		private crypto.Signer
	}{{"ed25519", ed}, {"ecdsa", ec}} {
		text, err := ssh.MarshalPrivateKey(k.private, comment)
		if err != nil {
			return nil, fmt.Errorf("SSH host key %s: %w", k.name, err)
		}
		public, err := ssh.NewPublicKey(k.private.Public())
		if err != nil {
			return nil, fmt.Errorf("SSH host key %s: %w", k.name, err)
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + comment + "\n"
		keys = append(keys, wire.HostKey{Type: k.name, Private: string(pem.EncodeToMemory(text)), Public: line})
	}
	return keys, nil
}
