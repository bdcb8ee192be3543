package vpc

import (
	"crypto"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// CreateKeyPairInput and the other types below have the members of the EC2 API.
type CreateKeyPairInput struct {
	KeyName           string
	KeyType           string // rsa (default), ed25519
	KeyFormat         string // pem
	TagSpecifications []TagSpecification
	DryRun            bool
}

type CreateKeyPairOutput struct {
	KeyPairId      KeyPairID `json:"KeyPairId"`
	Tags           []Tag     `json:"Tags,omitempty"`
	KeyName        string    `json:"KeyName"`
	KeyFingerprint string    `json:"KeyFingerprint"`
	KeyMaterial    string    `json:"KeyMaterial"` // the private key, PEM; kept nowhere in the model
}

type ImportKeyPairInput struct {
	KeyName           string
	PublicKeyMaterial []byte // on the wire base64
	TagSpecifications []TagSpecification
	DryRun            bool
}

type ImportKeyPairOutput struct {
	KeyFingerprint string    `json:"KeyFingerprint"`
	KeyName        string    `json:"KeyName"`
	KeyPairId      KeyPairID `json:"KeyPairId"`
	Tags           []Tag     `json:"Tags,omitempty"`
}

type DeleteKeyPairInput struct {
	KeyName   string
	KeyPairId KeyPairID
	DryRun    bool
}

type DeleteKeyPairOutput struct {
	Return    bool      `json:"Return"`
	KeyPairId KeyPairID `json:"KeyPairId,omitempty"`
}

type DescribeKeyPairsInput struct {
	KeyNames         []string
	KeyPairIds       []KeyPairID
	IncludePublicKey bool
	Filters          []Filter
	DryRun           bool
}

type DescribeKeyPairsOutput struct {
	KeyPairs []KeyPairInfo `json:"KeyPairs"`
}

// KeyPairInfo is a key pair as the API answers it.
type KeyPairInfo struct {
	KeyPairId      KeyPairID `json:"KeyPairId"`
	KeyType        string    `json:"KeyType"`
	Tags           []Tag     `json:"Tags"`
	PublicKey      string    `json:"PublicKey,omitempty"`
	CreateTime     time.Time `json:"CreateTime"`
	KeyName        string    `json:"KeyName"`
	KeyFingerprint string    `json:"KeyFingerprint"`
}

// RandomKey makes a private key of the type rsa (2048 bits, as AWS's) or ed25519.
// It is the Call.NewKey of the front ends.
func RandomKey(keyType string) (crypto.Signer, error) {
	if keyType == "ed25519" {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// CreateKeyPair makes a key pair of which the model keeps the public half and the
// caller gets the private one, once.
func (tx *Tx) CreateKeyPair(in *CreateKeyPairInput) (*CreateKeyPairOutput, error) {
	if in.KeyFormat != "" && in.KeyFormat != "pem" {
		return nil, errValue(in.KeyFormat, "keyFormat", "Only pem is supported.")
	}
	keyType := in.KeyType
	if keyType == "" {
		keyType = "rsa"
	}
	if keyType != "rsa" && keyType != "ed25519" {
		return nil, errValue(in.KeyType, "keyType", "It is rsa or ed25519.")
	}
	meta, err := tx.newKeyMeta(in.KeyName, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if tx.Call.NewKey == nil {
		return nil, errorf("UnsupportedOperation", "Keys cannot be generated here; import the public key instead.")
	}
	signer, err := tx.Call.NewKey(keyType)
	if err != nil {
		return nil, fmt.Errorf("key pair %s: %w", in.KeyName, err)
	}
	material, fingerprint, err := exportKey(signer)
	if err != nil {
		return nil, fmt.Errorf("key pair %s: %w", in.KeyName, err)
	}
	public, err := ssh.NewPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("key pair %s: %w", in.KeyName, err)
	}
	k := tx.storeKey(meta, in.KeyName, public, fingerprint)
	return &CreateKeyPairOutput{KeyPairId: k.ID, Tags: tagList(k.Tags), KeyName: k.KeyName, KeyFingerprint: fingerprint, KeyMaterial: material}, nil
}

// newKeyMeta checks a new key pair's name and tags.
func (tx *Tx) newKeyMeta(name string, specs []TagSpecification) (Meta, error) {
	switch {
	case name == "":
		return Meta{}, errMissing("keyName")
	case len(name) > 255:
		return Meta{}, errValue(name, "keyName", "It may have at most 255 characters.")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '/' }):
		// A line break would put a second key into authorized_keys, and the private
		// halves of made keys are files named after them.
		return Meta{}, errValue(name, "keyName", "It has printable ASCII characters without a slash.")
	case tx.KeyPair(tx.Region, name) != nil:
		return Meta{}, errorf("InvalidKeyPair.Duplicate", "The keypair '%s' already exists.", name)
	}
	return tx.newMeta("key-pair", specs)
}

// KeyPair is the key pair of the name in a Region, or nil.
func (m *Model) KeyPair(region, name string) *KeyPair {
	return m.KeyPairs.Get(m.KeyPairKey(region, name))
}

// KeyPairKey is the key in KeyPairs: the name, and before it REGION/ of those that are
// not of the home Region. Names have no slash.
func (m *Model) KeyPairKey(region, name string) string {
	if region == m.Region {
		return name
	}
	return region + "/" + name
}

func (tx *Tx) storeKey(meta Meta, name string, public ssh.PublicKey, fingerprint string) *KeyPair {
	k := &KeyPair{
		Meta: meta, ID: newID[KeyPairID](tx), KeyName: name, KeyFingerprint: fingerprint,
		PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + name,
	}
	tx.KeyPairs.Put(tx.KeyPairKey(k.Region, name), k)
	return k
}

// exportKey is a private key's PEM form and the fingerprint that AWS gives to
// keys that it made: of an RSA key SHA-1 over the private key in PKCS #8, of an
// Ed25519 key as of an imported one (EC2 User Guide, Verify the fingerprint).
func exportKey(signer crypto.Signer) (material, fingerprint string, err error) {
	switch k := signer.(type) {
	case *rsa.PrivateKey:
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return "", "", err
		}
		sum := sha1.Sum(der)
		block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}
		return string(pem.EncodeToMemory(block)), colons(sum[:]), nil
	case ed25519.PrivateKey:
		public, err := ssh.NewPublicKey(k.Public())
		if err != nil {
			return "", "", err
		}
		return string(pem.EncodeToMemory(opensshKey(k, public))), sshFingerprint(public), nil
	}
	return "", "", fmt.Errorf("a key of type %T is neither rsa nor ed25519", signer)
}

// opensshKey is an Ed25519 key in OpenSSH's own format (PROTOCOL.key), which is
// what AWS returns. Its check number, there to verify decryption, is derived from
// the key: operations draw nothing at random.
func opensshKey(k ed25519.PrivateKey, public ssh.PublicKey) *pem.Block {
	sum := sha256.Sum256(k)
	check := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	inner := ssh.Marshal(struct {
		Check1, Check2 uint32
		Type           string
		Public         []byte
		Private        []byte
		Comment        string
	}{check, check, ssh.KeyAlgoED25519, k.Public().(ed25519.PublicKey), k, ""})
	for i := byte(1); len(inner)%8 != 0; i++ {
		inner = append(inner, i)
	}
	outer := ssh.Marshal(struct {
		Cipher, Kdf, KdfOptions string
		Keys                    uint32
		Public                  []byte
		Inner                   []byte
	}{"none", "none", "", 1, public.Marshal(), inner})
	return &pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append([]byte("openssh-key-v1\x00"), outer...)}
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}

// sshFingerprint is SHA-256 over the public key, in base64 as AWS prints it.
func sshFingerprint(k ssh.PublicKey) string {
	sum := sha256.Sum256(k.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ImportKeyPair stores a public key, RSA or Ed25519, in one of the forms that EC2 takes: OpenSSH's, RFC
// 4716's, and DER in base64 (EC2 User Guide, Create a key pair using a third-party tool).
func (tx *Tx) ImportKeyPair(in *ImportKeyPairInput) (*ImportKeyPairOutput, error) {
	meta, err := tx.newKeyMeta(in.KeyName, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if len(in.PublicKeyMaterial) == 0 {
		return nil, errMissing("publicKeyMaterial")
	}
	public, err := parsePublicKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	fingerprint, err := importedFingerprint(public)
	if err != nil {
		return nil, err
	}
	k := tx.storeKey(meta, in.KeyName, public, fingerprint)
	return &ImportKeyPairOutput{KeyFingerprint: fingerprint, KeyName: k.KeyName, KeyPairId: k.ID, Tags: tagList(k.Tags)}, nil
}

var errKeyFormat = errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")

func parsePublicKey(material []byte) (ssh.PublicKey, error) {
	if text := strings.TrimSpace(string(material)); strings.HasPrefix(text, "---- BEGIN SSH2 PUBLIC KEY ----") {
		return parseRFC4716(text)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(material)
	if err != nil {
		return parseDER(string(material))
	}
	return public, nil
}

// parseDER reads a SubjectPublicKeyInfo in base64, which may be on several lines.
func parseDER(text string) (ssh.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errKeyFormat
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errKeyFormat
	}
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		return nil, errKeyFormat
	}
	return public, nil
}

// parseRFC4716 reads the SSH2 public key file format: headers, which may go on
// over several lines, then the key in base64.
func parseRFC4716(text string) (ssh.PublicKey, error) {
	var body strings.Builder
	header := false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		switch {
		case strings.HasPrefix(line, "----"):
		case header || strings.Contains(line, ":"):
			header = strings.HasSuffix(line, "\\")
		default:
			body.WriteString(line)
		}
	}
	b, err := base64.StdEncoding.DecodeString(body.String())
	if err != nil {
		return nil, errKeyFormat
	}
	public, err := ssh.ParsePublicKey(b)
	if err != nil {
		return nil, errKeyFormat
	}
	return public, nil
}

// importedFingerprint is what AWS gives to imported keys: of an RSA key MD5 over
// the public key in DER (RFC 4716's is over another form), of an Ed25519 key
// SHA-256 as ssh-keygen has it.
func importedFingerprint(public ssh.PublicKey) (string, error) {
	switch public.Type() {
	case ssh.KeyAlgoED25519:
		return sshFingerprint(public), nil
	case ssh.KeyAlgoRSA:
		c, ok := public.(ssh.CryptoPublicKey)
		if !ok {
			return "", errKeyFormat
		}
		der, err := x509.MarshalPKIXPublicKey(c.CryptoPublicKey())
		if err != nil {
			return "", errKeyFormat
		}
		sum := md5.Sum(der)
		return colons(sum[:]), nil
	}
	return "", errorf("InvalidKey.Format", "Key type %s is not supported: it is neither RSA nor ED25519", public.Type())
}

// DeleteKeyPair deletes a key pair; one that is not there is no error. Instances
// keep the key that they were launched with.
func (tx *Tx) DeleteKeyPair(in *DeleteKeyPairInput) (*DeleteKeyPairOutput, error) {
	if in.KeyName == "" && in.KeyPairId == "" {
		return nil, errMissing("keyName or keyPairId")
	}
	for key, k := range tx.KeyPairs.All() {
		if (in.KeyName == "" || k.KeyName == in.KeyName) && (in.KeyPairId == "" || k.ID == in.KeyPairId) {
			tx.KeyPairs.Delete(key)
			return &DeleteKeyPairOutput{Return: true, KeyPairId: k.ID}, nil
		}
	}
	return &DeleteKeyPairOutput{Return: true}, nil
}

var keyPairFilters = filterSet[KeyPair]{
	"fingerprint": func(_ *Model, k *KeyPair) []string { return one(k.KeyFingerprint) },
	"key-name":    func(_ *Model, k *KeyPair) []string { return one(k.KeyName) },
	"key-pair-id": func(_ *Model, k *KeyPair) []string { return one(k.ID) },
}

// DescribeKeyPairs lists key pairs by name.
func (tx *Tx) DescribeKeyPairs(in *DescribeKeyPairsInput) (*DescribeKeyPairsOutput, error) {
	if err := keyPairFilters.check(in.Filters); err != nil {
		return nil, err
	}
	names := slices.Clone(in.KeyNames)
	for _, id := range in.KeyPairIds {
		name, err := tx.keyNameOf(id)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	for _, name := range names {
		if tx.KeyPair(tx.Region, name) == nil {
			return nil, errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
	}
	out := &DescribeKeyPairsOutput{KeyPairs: []KeyPairInfo{}}
	for _, k := range tx.KeyPairs.All() {
		if len(names) > 0 && !slices.Contains(names, k.KeyName) || !keyPairFilters.match(&tx.Model, in.Filters, k) {
			continue
		}
		info := KeyPairInfo{KeyPairId: k.ID, KeyType: k.keyType(), Tags: tagList(k.Tags), CreateTime: k.Created, KeyName: k.KeyName, KeyFingerprint: k.KeyFingerprint}
		if in.IncludePublicKey {
			info.PublicKey = k.PublicKey
		}
		out.KeyPairs = append(out.KeyPairs, info)
	}
	return out, nil
}

func (m *Model) keyNameOf(id KeyPairID) (string, error) {
	for _, k := range m.KeyPairs.each() {
		if k.ID == id {
			return k.KeyName, nil
		}
	}
	return "", errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", id)
}

func (k *KeyPair) keyType() string {
	if strings.HasPrefix(k.PublicKey, ssh.KeyAlgoED25519) {
		return "ed25519"
	}
	return "rsa"
}
