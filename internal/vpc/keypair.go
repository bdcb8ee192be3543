package vpc

import "time"

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
