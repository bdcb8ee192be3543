package imds

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A token is 40 bytes in base64: a form number, when it ends, a random part, and a MAC of
// these and of the instance that it was given to. Nothing is kept of it, so that tokens
// cost no memory and outlive the daemon.
const (
	tokenForm   = 1
	tokenExpiry = 4  // milliseconds since 1970, eight bytes
	tokenMAC    = 24 // behind twelve random bytes
	tokenLength = 40
)

// tokenText is strict, so that a token has one form.
var tokenText = base64.URLEncoding.Strict()

// issue makes a token for the instance. At most a second of its time is lost to rounding.
func (k *Keys) issue(instance string, now time.Time, ttl time.Duration) string {
	var t [tokenLength]byte
	binary.LittleEndian.PutUint32(t[:], tokenForm)
	binary.BigEndian.PutUint64(t[tokenExpiry:], uint64(now.Add(ttl).UnixMilli()))
	rand.Read(t[tokenExpiry+8 : tokenMAC])
	copy(t[tokenMAC:], k.mac(t[:tokenMAC], instance))
	return tokenText.EncodeToString(t[:])
}

// check tells how long a token is still good for, for this instance.
func (k *Keys) check(token, instance string, now time.Time) (left time.Duration, ok bool) {
	if len(token) != tokenText.EncodedLen(tokenLength) {
		return 0, false
	}
	t, err := tokenText.DecodeString(token)
	if err != nil || !hmac.Equal(t[tokenMAC:], k.mac(t[:tokenMAC], instance)) {
		return 0, false
	}
	left = time.UnixMilli(int64(binary.BigEndian.Uint64(t[tokenExpiry:]))).Sub(now)
	return left, left > 0
}

func (k *Keys) mac(t []byte, instance string) []byte {
	h := hmac.New(sha256.New, k.token)
	h.Write(t)
	h.Write([]byte(instance))
	return h.Sum(nil)[:tokenLength-tokenMAC]
}
