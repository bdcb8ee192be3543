package imds

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIM06_Document(t *testing.T) {
	l := newLab(t, site)
	text := l.get(web, "/latest/dynamic/instance-identity/document")
	if !strings.HasPrefix(text, "{\n  \"accountId\" : \"123456789012\",\n  \"architecture\" : \"x86_64\",\n") || !strings.HasSuffix(text, "\n  \"version\" : \"2017-09-30\"\n}") {
		t.Errorf("not AWS's layout:\n%s", text)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	i := l.instance("web")
	if d := cmp.Diff(map[string]any{
		"accountId": "123456789012", "architecture": "x86_64", "availabilityZone": "ap-northeast-1a", "billingProducts": nil, "devpayProductCodes": nil,
		"marketplaceProductCodes": nil, "imageId": i.ImageID, "instanceId": string(i.ID), "instanceType": "t3.micro", "kernelId": nil,
		"pendingTime": "2026-04-01T12:00:00Z", "privateIp": web, "ramdiskId": nil, "region": "ap-northeast-1", "version": "2017-09-30",
	}, got); d != "" {
		t.Error(d)
	}
}

// The commands are those of the EC2 User Guide, with the lab's certificate in place of AWS's.
func TestIM06_OpensslVerifiesTheSignatures(t *testing.T) {
	l := newLab(t, site)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return l.get(web, "/latest/dynamic/instance-identity/"+name) }
	openssl := func(command string) (string, error) {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = dir
		out, err := cmd.Output()
		return string(out), err
	}
	document := at("document")
	write("document", document)
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(at("signature"), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	write("signature", string(der))
	certificate, err := os.ReadFile(filepath.Join(l.server.cfg.Keys.dir, CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	write("certificate", string(certificate))

	smime := "openssl smime -verify -in p7 -inform PEM -content document -certfile certificate -CAfile certificate -purpose any 2>/dev/null"
	for _, form := range []string{"pkcs7", "rsa2048"} {
		write("p7", "-----BEGIN PKCS7-----\n"+at(form)+"\n-----END PKCS7-----\n")
		if out, err := openssl(smime); err != nil || out != document {
			t.Errorf("%s: smime: %v\n%s", form, err, out)
		}
	}
	dgst := "openssl x509 -pubkey -noout -in certificate > key && openssl dgst -sha256 -verify key -signature signature document"
	if out, err := openssl(dgst); err != nil || !strings.Contains(out, "Verified OK") {
		t.Errorf("dgst: %v\n%s", err, out)
	}
	write("document", strings.Replace(document, "t3.micro", "t3.large", 1))
	var refused *exec.ExitError
	if out, err := openssl(dgst); !errors.As(err, &refused) {
		t.Errorf("another document is verified: %v\n%s", err, out)
	}
}

func TestIM06_KeysAreKept(t *testing.T) {
	l := newLab(t, site)
	at := func(name string) string { return l.get(web, "/latest/dynamic/instance-identity/"+name) }
	dir, signed := l.server.cfg.Keys.dir, at("signature")
	if again := at("signature"); again != signed {
		t.Error("two signatures of one document differ")
	}
	open := func() error {
		k, err := OpenKeys(dir, "test")
		if err == nil {
			l.server.cfg.Keys = k
		}
		return err
	}
	certificate, err := os.ReadFile(filepath.Join(dir, CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil || at("signature") != signed {
		t.Errorf("another daemon has another key: %v", err)
	}
	// Killed between key and certificate.
	if err := os.Remove(filepath.Join(dir, CertificateFile)); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil || at("signature") != signed {
		t.Errorf("without a certificate: %v", err)
	}
	if fresh, err := os.ReadFile(filepath.Join(dir, CertificateFile)); err != nil || string(fresh) == string(certificate) {
		t.Errorf("no new certificate: %v", err)
	}
	for name, mode := range map[string]os.FileMode{tokenKeyFile: 0o600, signerFile: 0o600, CertificateFile: 0o644} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode() != mode {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestIM06_DamagedKeys(t *testing.T) {
	l := newLab(t, site)
	dir := l.server.cfg.Keys.dir
	if err := os.WriteFile(filepath.Join(dir, signerFile), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := l.get(web, "/latest/dynamic/instance-identity/pkcs7"); got != "500" {
		t.Errorf("with a damaged key: %q", got)
	}
	if got := l.get(web, "/latest/dynamic/instance-identity/document"); !strings.HasPrefix(got, "{") {
		t.Errorf("the document needs no key: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, tokenKeyFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir, "test"); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged token key: %v", err)
	}
}
