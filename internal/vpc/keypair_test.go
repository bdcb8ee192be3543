package vpc

import (
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestCreateKeyPair_MaterialAndFingerprint(t *testing.T) {
	tx := emptyLab(t)
	tx.Call.NewKey = RandomKey
	for _, keyType := range []string{"rsa", "ed25519"} {
		out := must(tx.CreateKeyPair(&CreateKeyPairInput{KeyName: "k-" + keyType, KeyType: keyType, TagSpecifications: NamedTag("key-pair", "x")}))
		signer, err := ssh.ParsePrivateKey([]byte(out.KeyMaterial))
		if err != nil {
			t.Fatalf("%s: %v", keyType, err)
		}
		k := tx.KeyPairs.Get("k-" + keyType)
		public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
		if err != nil || comment != "k-"+keyType || string(public.Marshal()) != string(signer.PublicKey().Marshal()) {
			t.Errorf("%s: stored %q, %v", keyType, k.PublicKey, err)
		}
		switch {
		case keyType == "rsa" && len(strings.Split(out.KeyFingerprint, ":")) != 20:
			t.Errorf("RSA fingerprint %s is no SHA-1", out.KeyFingerprint)
		case keyType == "ed25519" && strings.TrimRight(out.KeyFingerprint, "=") != strings.TrimPrefix(ssh.FingerprintSHA256(public), "SHA256:"):
			t.Errorf("Ed25519 fingerprint %s", out.KeyFingerprint)
		}
		if strings.Contains(dump(t, &tx.Model), "PRIVATE") {
			t.Error("the model holds a private key")
		}
	}
	info := must(tx.DescribeKeyPairs(&DescribeKeyPairsInput{KeyNames: []string{"k-ed25519"}, IncludePublicKey: true})).KeyPairs
	if len(info) != 1 || info[0].KeyType != "ed25519" || !strings.HasPrefix(info[0].PublicKey, "ssh-ed25519 ") {
		t.Errorf("got %+v", info)
	}
	if info = must(tx.DescribeKeyPairs(&DescribeKeyPairsInput{KeyPairIds: []KeyPairID{info[0].KeyPairId}})).KeyPairs; len(info) != 1 || info[0].PublicKey != "" {
		t.Errorf("by ID: %+v", info)
	}
}

// The keys and fingerprints were made with ssh-keygen and openssl as the EC2
// User Guide (Verify the fingerprint of your key pair) tells.
const (
	rsaPublic      = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCu6E8x6E9DMVawfUH0bnnjGIgeEDD4znYeQgwcWOtCV2h9YJNeChqvCWJUvHoWYO5Zghsd7w0BRz7Xj6yW6PYx6xHlrv+Y8O+HOWnsb2iDXsg2TU01jh/RpbsEt5cstm9sDY1OQ3guwxQliOuzMJvjcPfVcP6FMurS6JbK0gWqAaA7QdDYW/jKxGAyJGi7ff/QWlXyEiZsVKUqIWCwsIVVUJY0XSGD0M+HJTqJQNUlWoM8vbnCMbYIC09WJEPoZ8Ck7sYubkHXhUNhD6ukQe0NLuSN1h8NrjxwK+21JlFfMIOMAQZLJqrjwWDAhphmAStjQOn3Y7QkC1GbwJZxFgOZ test"
	rsaImportedMD5 = "af:76:de:ce:02:71:39:bd:48:18:58:cb:6e:a8:cd:a8"
	edPublic       = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMifrZzJe15Upu3okwEV+rp1est1Ypt6wEEfND5Qr/8v test"
	edFingerprint  = "oDfVtRQjvC4VcAwB7DcnFR3QaZ+3/832G62k/YOMPeE="
	rsaPublicSecsh = `---- BEGIN SSH2 PUBLIC KEY ----
Comment: "2048-bit RSA, converted by root@vm from OpenSSH"
AAAAB3NzaC1yc2EAAAADAQABAAABAQCu6E8x6E9DMVawfUH0bnnjGIgeEDD4znYeQgwcWO
tCV2h9YJNeChqvCWJUvHoWYO5Zghsd7w0BRz7Xj6yW6PYx6xHlrv+Y8O+HOWnsb2iDXsg2
TU01jh/RpbsEt5cstm9sDY1OQ3guwxQliOuzMJvjcPfVcP6FMurS6JbK0gWqAaA7QdDYW/
jKxGAyJGi7ff/QWlXyEiZsVKUqIWCwsIVVUJY0XSGD0M+HJTqJQNUlWoM8vbnCMbYIC09W
JEPoZ8Ck7sYubkHXhUNhD6ukQe0NLuSN1h8NrjxwK+21JlFfMIOMAQZLJqrjwWDAhphmAS
tjQOn3Y7QkC1GbwJZxFgOZ
---- END SSH2 PUBLIC KEY ----`
)

func TestImportKeyPair_FingerprintsAreThoseOfOpenssl(t *testing.T) {
	tx := emptyLab(t)
	for name, c := range map[string]struct{ material, want string }{
		"rsa": {rsaPublic, rsaImportedMD5}, "ed": {edPublic, edFingerprint}, "secsh": {rsaPublicSecsh, rsaImportedMD5},
		"der": {derOf(t, rsaPublic, 64), rsaImportedMD5}, "ed der": {derOf(t, edPublic, 1000), edFingerprint},
	} {
		out := must(tx.ImportKeyPair(&ImportKeyPairInput{KeyName: name, PublicKeyMaterial: []byte(c.material)}))
		if out.KeyFingerprint != c.want {
			t.Errorf("%s: %s, want %s", name, out.KeyFingerprint, c.want)
		}
	}
}

// derOf is a key in OpenSSH's form as DER in base64, in lines of a width, as openssl writes it.
func derOf(t *testing.T, public string, width int) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(key.(ssh.CryptoPublicKey).CryptoPublicKey())))
	var lines strings.Builder
	for line := range slices.Chunk([]byte(text), width) {
		lines.Write(append(line, '\n'))
	}
	return lines.String()
}

// The oracle wraps the PEM block's PKCS #1 bytes in PKCS #8 by hand (RFC 5208, 5).
func TestCreateKeyPair_RsaFingerprintIsSha1OfPkcs8(t *testing.T) {
	tx := emptyLab(t)
	tx.Call.NewKey = RandomKey
	out := must(tx.CreateKeyPair(&CreateKeyPairInput{KeyName: "k"}))
	block, _ := pem.Decode([]byte(out.KeyMaterial))
	if block.Type != "RSA PRIVATE KEY" {
		t.Fatalf("PEM type %s", block.Type)
	}
	der, err := asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, block.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	if want := colons(sum[:]); out.KeyFingerprint != want {
		t.Errorf("got %s, want %s", out.KeyFingerprint, want)
	}
}

func TestKeyPairs_Refuse(t *testing.T) {
	tx := emptyLab(t)
	tx.Call.NewKey = RandomKey
	must(tx.ImportKeyPair(&ImportKeyPairInput{KeyName: "k", PublicKeyMaterial: []byte(edPublic)}))
	create := func(in CreateKeyPairInput) string { return code(tx.CreateKeyPair(&in)) }
	wantCode(t, create(CreateKeyPairInput{}), "MissingParameter")
	wantCode(t, create(CreateKeyPairInput{KeyName: "k"}), "InvalidKeyPair.Duplicate")
	for _, name := range []string{"a\nssh-rsa AAAA", "../k", "schlüssel", strings.Repeat("k", 256)} {
		wantCode(t, create(CreateKeyPairInput{KeyName: name}), "InvalidParameterValue")
	}
	wantCode(t, create(CreateKeyPairInput{KeyName: "x", KeyType: "dsa"}), "InvalidParameterValue")
	wantCode(t, create(CreateKeyPairInput{KeyName: "x", KeyFormat: "ppk"}), "InvalidParameterValue")
	imported := func(material string) string {
		return code(tx.ImportKeyPair(&ImportKeyPairInput{KeyName: "x", PublicKeyMaterial: []byte(material)}))
	}
	wantCode(t, imported(""), "MissingParameter")
	wantCode(t, imported("ssh-rsa AAAA"), "InvalidKey.Format")
	wantCode(t, imported("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"), "InvalidKey.Format") // a part of a key in DER
	wantCode(t, imported("---- BEGIN SSH2 PUBLIC KEY ----\nxx\n---- END SSH2 PUBLIC KEY ----"), "InvalidKey.Format")
	wantCode(t, imported("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKFZ4jIkuwv0Aqn9dxws6vLwY4+8JFHfMrQBEeMeCPwGBuue5NHT+iI7R1HTL96YWGHOJ/bDHyK9Uh7G/q4Jwug= test"), "InvalidKey.Format")
	wantCode(t, code(tx.DescribeKeyPairs(&DescribeKeyPairsInput{KeyNames: []string{"none"}})), "InvalidKeyPair.NotFound")
	out := must(tx.DeleteKeyPair(&DeleteKeyPairInput{KeyName: "k"}))
	if !out.Return || out.KeyPairId == "" {
		t.Errorf("got %+v", out)
	}
	wantCode(t, code(tx.DeleteKeyPair(&DeleteKeyPairInput{KeyName: "k"})), "")
	wantCode(t, code(tx.DeleteKeyPair(&DeleteKeyPairInput{})), "MissingParameter")
	tx.Call.NewKey = nil
	wantCode(t, create(CreateKeyPairInput{KeyName: "x"}), "UnsupportedOperation")
}

func FuzzImportKeyPair(f *testing.F) {
	f.Add([]byte(rsaPublic))
	f.Add([]byte(edPublic))
	f.Add([]byte(rsaPublicSecsh))
	f.Add([]byte("---- BEGIN SSH2 PUBLIC KEY ----\nComment: \\\nAAAA"))
	f.Fuzz(func(t *testing.T, material []byte) {
		tx := emptyLab(t)
		out, err := tx.ImportKeyPair(&ImportKeyPairInput{KeyName: "k", PublicKeyMaterial: material})
		if err != nil {
			if c := code(out, err); c != "InvalidKey.Format" && c != "MissingParameter" {
				t.Fatal(err)
			}
			return
		}
		k := tx.KeyPairs.Get("k")
		if again, err := parsePublicKey([]byte(k.PublicKey)); err != nil || out.KeyFingerprint == "" {
			t.Fatalf("stored %q reads as %v, %v", k.PublicKey, again, err)
		}
	})
}
