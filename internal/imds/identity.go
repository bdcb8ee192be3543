package imds

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/smallstep/pkcs7"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// identity are dynamic/instance-identity/: the document and three forms of the lab's
// signature of it. AWS has three key pairs, a lab one.
func (s *Server) identity(c *caller) []node {
	d := document(c)
	signed := func(name string, form func(*signature) string) node {
		n := file(name, "", "")
		n.read = func() ([]byte, error) {
			g, err := s.cfg.Keys.sign(d)
			if err != nil {
				return nil, err
			}
			return []byte(form(g)), nil
		}
		return n
	}
	return []node{
		file("document", "", d),
		signed("pkcs7", func(g *signature) string { return g.pkcs7 }),
		signed("rsa2048", func(g *signature) string { return g.pkcs7 }),
		signed("signature", func(g *signature) string { return g.plain }),
	}
}

// document is the instance identity document (IM-06), as AWS's in every blank: what
// checks a signature hashes the bytes.
func document(c *caller) string {
	private, zone := "", ""
	if len(c.nics) > 0 {
		private = c.nics[0].Primary().String()
		zone = c.nics[0].AvailabilityZone
	}
	var b strings.Builder
	b.WriteString("{")
	for i, m := range []struct{ key, value string }{
		{"accountId", c.Account}, {"architecture", vpc.TypeArchitecture(c.InstanceType)}, {"availabilityZone", zone}, {"billingProducts", ""}, {"devpayProductCodes", ""},
		{"marketplaceProductCodes", ""}, {"imageId", c.ImageID}, {"instanceId", string(c.ID)}, {"instanceType", c.InstanceType}, {"kernelId", ""},
		{"pendingTime", c.LaunchTime.UTC().Format("2006-01-02T15:04:05Z")}, {"privateIp", private}, {"ramdiskId", ""}, {"region", c.Region}, {"version", "2017-09-30"},
	} {
		value := "null"
		if m.value != "" {
			value = `"` + m.value + `"`
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  \"%s\" : %s", m.key, value)
	}
	b.WriteString("\n}")
	return b.String()
}

// signature is one document's, as base64 in lines of 64.
type signature struct {
	plain string // RSA PKCS #1 v1.5 of the document's SHA-256
	pkcs7 string // PKCS #7 SignedData with the document in it, without PEM's header and footer
}

// maxSignatures bounds how many are kept: signing costs a millisecond, which nobody should
// be able to make the lab spend again and again.
const maxSignatures = 4096

// sign signs a document, with keys that the first call of a lab makes.
func (k *Keys) sign(document string) (*signature, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := k.signed[document]; g != nil {
		return g, nil
	}
	if err := k.openSigner(); err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(document))
	plain, err := rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, hash[:])
	if err != nil {
		return nil, fmt.Errorf("instance identity: %w", err)
	}
	data, err := pkcs7.NewSignedData([]byte(document))
	if err != nil {
		return nil, fmt.Errorf("instance identity: %w", err)
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := data.AddSigner(k.certificate, k.key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("instance identity: %w", err)
	}
	der, err := data.Finish()
	if err != nil {
		return nil, fmt.Errorf("instance identity: %w", err)
	}
	if len(k.signed) >= maxSignatures {
		clear(k.signed)
	}
	g := &signature{plain: lines(plain), pkcs7: lines(der)}
	k.signed[document] = g
	return g, nil
}

// lines is base64 as in PEM, without a newline at the end.
func lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out []string
	for len(text) > 64 {
		out, text = append(out, text[:64]), text[64:]
	}
	return strings.Join(append(out, text), "\n")
}
