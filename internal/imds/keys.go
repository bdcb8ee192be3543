package imds

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Files of a lab's state directory.
const (
	tokenKeyFile = "metadata-token.key"
	signerFile   = "instance-identity.key"
	// CertificateFile is what verifiers of instance identity documents are given. It is
	// there from the first request for a signature on.
	CertificateFile = "instance-identity.pem"
)

// tokenKeyLength is in bytes.
const tokenKeyLength = 32

// Keys are a lab's secrets: what tokens and identity documents are signed with. They are
// kept in files, so that tokens outlive the daemon and a certificate given to a verifier
// stays good until the lab is removed.
type Keys struct {
	dir   string
	lab   string
	token []byte

	mu          sync.Mutex // guards what follows
	key         *rsa.PrivateKey
	certificate *x509.Certificate
	signed      map[string]*signature // by document
}

// OpenKeys reads the lab's keys in dir. Those of tokens are made if they are missing;
// those of documents, which take longer, when they are first needed.
func OpenKeys(dir, lab string) (*Keys, error) {
	k := &Keys{dir: dir, lab: lab, signed: map[string]*signature{}}
	path := filepath.Join(dir, tokenKeyFile)
	var err error
	if k.token, err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
		k.token = make([]byte, tokenKeyLength)
		rand.Read(k.token)
		err = writeFile(path, k.token, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("key of metadata tokens: %w", err)
	}
	if len(k.token) != tokenKeyLength {
		return nil, fmt.Errorf("key of metadata tokens: %s has %d bytes, not %d: remove the file, and new tokens will be valid", path, len(k.token), tokenKeyLength)
	}
	return k, nil
}

// openSigner reads or makes the key pair and certificate of documents. k.mu is held.
func (k *Keys) openSigner() error {
	if k.certificate != nil {
		return nil
	}
	key, err := k.signer()
	if err != nil {
		return fmt.Errorf("key of instance identity documents: %w", err)
	}
	certificate, err := k.certificateOf(key)
	if err != nil {
		return fmt.Errorf("certificate of instance identity documents: %w", err)
	}
	k.key, k.certificate = key, certificate
	return nil
}

func (k *Keys) signer() (*rsa.PrivateKey, error) {
	path := filepath.Join(k.dir, signerFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove the file, and a new key and certificate will be made", path, err)
	}
	return key, nil
}

func parseKey(text []byte) (*rsa.PrivateKey, error) {
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, errors.New("not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an RSA key", parsed)
	}
	return key, nil
}

// certificateOf reads the certificate, or makes one if there is none of this key.
func (k *Keys) certificateOf(key *rsa.PrivateKey) (*x509.Certificate, error) {
	path := filepath.Join(k.dir, CertificateFile)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if b, _ := pem.Decode(text); b != nil {
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && key.PublicKey.Equal(c.PublicKey) {
			return c, nil
		}
	}
	der, err := selfSigned(key, k.lab)
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// selfSigned is good for as long as a lab may be kept: like AWS's certificates, it is
// trusted by being given to the verifier, not by its dates.
func selfSigned(key *rsa.PrivateKey, lab string) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{Organization: []string{"vpcemu"}, CommonName: "instance identity of lab " + lab},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

// writeFile makes a file that is whole or not there, also when the disk is full or the
// machine stops.
func writeFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(bytes.NewReader(content))
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
