package ec2api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signatures is the Auth of an endpoint that programs of this machine may use: a request must
// bear a well-formed signature of version 4 in the Authorization header, and where Keys are given, a
// true one, in the header or in the query string. What a web page could make a browser send is
// refused, whatever it bears: an Origin header (forms, scripts), a Sec-Fetch-Site header (also
// images and links), a signature in the query string that nobody checks, and a Host that is not
// the endpoint's (DNS rebinding).
//
// Source: AWS IAM User Guide, Create a signed AWS API request.
type Signatures struct {
	// Keys are the access keys and their secrets. Nil: any key, and signatures are not checked.
	Keys map[string]string
	// Hosts are further names of the endpoint, without port, besides addresses and localhost.
	Hosts []string
	Now   func() time.Time
}

const algorithm = "AWS4-HMAC-SHA256"

// maxSkew is how far a request's time may be from ours (EC2 API Reference, RequestExpired).
const maxSkew = 5 * time.Minute

// maxExpires is how long a signature in a query string may be good, in seconds.
const maxExpires = 7 * 24 * 3600

// signature is what a request says of its signature.
type signature struct {
	Caller
	scope   string // DATE/REGION/SERVICE/aws4_request
	date    string // of the scope
	headers []string
	hex     string
	at      time.Time
	expires time.Duration // from at; longer than maxSkew only in a query string
}

// Check implements Auth.
func (s *Signatures) Check(r *http.Request, body []byte) (Caller, error) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return Caller{}, errf("UnauthorizedOperation", "This endpoint takes no requests of web pages (they bear an Origin or Sec-Fetch-Site header): it can start programs as root.")
	}
	if !s.ours(r.Host) {
		return Caller{}, errf("UnauthorizedOperation", "This endpoint is not called %s: use an address, localhost, or a name that `vpcemu api --host` names.", shown(r.Host))
	}
	sig, err := signatureOf(r)
	if err != nil {
		return Caller{}, err
	}
	if s.Keys == nil && r.Header.Get("Authorization") == "" {
		return Caller{}, errf("MissingAuthenticationToken", "A signature in the query string is taken only by an endpoint that has keys (vpcemu api --keys FILE), as a web page could make one up: send an Authorization header.")
	}
	if s.Keys != nil {
		if err := s.verify(r, body, sig); err != nil {
			return Caller{}, err
		}
	}
	return sig.Caller, nil
}

// ours tells whether a Host is one of the endpoint's. A browser that a foreign name has led
// here sends that name; an address it can only have been told by its user.
func (s *Signatures) ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(s.Hosts, host)
}

func signatureOf(r *http.Request) (*signature, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return fromHeader(header, r.Header.Get("X-Amz-Date"))
	}
	if q := r.URL.Query(); q.Has("X-Amz-Credential") {
		return fromQuery(q)
	}
	return nil, errf("MissingAuthenticationToken", "Request is missing Authentication Token: it needs an Authorization header, as the AWS CLI and the SDKs send it. Any access key will do, unless keys are configured.")
}

func incomplete(why string) error { return errf("IncompleteSignature", "%s", why) }

// fromHeader reads an Authorization header and the time of a request.
func fromHeader(header, date string) (*signature, error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return nil, incomplete("Unsupported Authorization header: it must be of " + algorithm + ".")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	return newSignature(parts["Credential"], parts["SignedHeaders"], parts["Signature"], date)
}

// fromQuery reads the signature of a presigned request.
func fromQuery(q url.Values) (*signature, error) {
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be " + algorithm + ".")
	}
	sig, err := newSignature(q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"), q.Get("X-Amz-Date"))
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > maxExpires {
		return nil, incomplete("X-Amz-Expires must be between 1 and 604800.")
	}
	sig.expires = time.Duration(seconds) * time.Second
	return sig, nil
}

// dateForm is the form of X-Amz-Date.
const dateForm = "20060102T150405Z"

func newSignature(credential, headers, signed, date string) (*signature, error) {
	key, scope, _ := strings.Cut(credential, "/")
	part := strings.Split(scope, "/")
	if key == "" || len(part) != 4 || !isDate(part[0]) || !isName(part[1]) || !isName(part[2]) || part[3] != "aws4_request" {
		return nil, incomplete("Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request.")
	}
	if headers == "" {
		return nil, incomplete("Authorization header requires 'SignedHeaders' parameter.")
	}
	if b, err := hex.DecodeString(signed); err != nil || len(b) != sha256.Size {
		return nil, incomplete("Authorization header requires 'Signature' parameter: 64 hexadecimal digits.")
	}
	at, err := time.Parse(dateForm, date)
	if err != nil {
		return nil, incomplete("X-Amz-Date must have the form 20260102T030405Z.")
	}
	return &signature{Caller{key, part[1], part[2]}, scope, part[0], strings.Split(headers, ";"), signed, at, maxSkew}, nil
}

func isDate(s string) bool { return len(s) == 8 && strings.Trim(s, "0123456789") == "" }

func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// verify makes the signature again and compares.
func (s *Signatures) verify(r *http.Request, body []byte, sig *signature) error {
	secret, known := s.Keys[sig.AccessKey]
	if !known {
		return sig.refused("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if !slices.Contains(sig.headers, "host") {
		return incomplete("'Host' must be a 'SignedHeader'.")
	}
	want := sig.sign(secret, canonical(r, body, sig))
	if !hmac.Equal([]byte(want), []byte(strings.ToLower(sig.hex))) || sig.date != sig.at.Format("20060102") {
		return sig.refused("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	now := s.Now()
	if sig.at.After(now.Add(maxSkew)) || now.After(sig.at.Add(sig.expires)) {
		return errf("RequestExpired", "Request has expired: its time is %s, and here it is %s.", sig.at.Format(dateForm), now.UTC().Format(dateForm))
	}
	return nil
}

// refused is the error for wrong credentials: EC2 has one, the others tell more.
func (sig *signature) refused(code, message string) error {
	if sig.Service == "ec2" {
		return errf("AuthFailure", "AWS was not able to validate the provided access credentials")
	}
	return errf(code, "%s", message)
}

// canonical is the request in the form that is signed.
func canonical(r *http.Request, body []byte, sig *signature) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range sig.headers {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	payload := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + hex.EncodeToString(payload[:]))
	return b.String()
}

func canonicalQuery(q url.Values) string {
	q.Del("X-Amz-Signature")
	// Encode sorts by name; a space is %20 in a signature.
	return strings.ReplaceAll(q.Encode(), "+", "%20")
}

// sign makes the signature of a canonical request.
func (sig *signature) sign(secret, request string) string {
	hash := sha256.Sum256([]byte(request))
	text := algorithm + "\n" + sig.at.Format(dateForm) + "\n" + sig.scope + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(sig.scope, "/") {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
