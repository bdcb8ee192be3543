package ec2api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// statusOf is the HTTP status of errors that have another than 400 (Error codes for the
// Amazon EC2 API; API notes, 1.3).
var statusOf = map[string]int{
	"AuthFailure":                http.StatusUnauthorized,
	"DryRunOperation":            http.StatusPreconditionFailed,
	"InternalError":              http.StatusInternalServerError,
	"InternalFailure":            http.StatusInternalServerError,
	"InvalidClientTokenId":       http.StatusForbidden,
	"MissingAuthenticationToken": http.StatusForbidden,
	"OptInRequired":              http.StatusForbidden,
	"RequestExpired":             http.StatusBadRequest,
	"RequestLimitExceeded":       http.StatusServiceUnavailable,
	"ServiceUnavailable":         http.StatusServiceUnavailable,
	"SignatureDoesNotMatch":      http.StatusForbidden,
	"Unavailable":                http.StatusServiceUnavailable,
	"UnauthorizedOperation":      http.StatusForbidden,
}

// cloudError is err as clients get it: what has no code of AWS's is InternalError, which
// they try again.
func cloudError(err error) *vpc.Error {
	var e *vpc.Error
	if errors.As(err, &e) {
		return e
	}
	return &vpc.Error{Code: "InternalError", Message: err.Error()}
}

// refusal is an operation's error. AuthFailure is one of those, too, where an object is another's; it has
// the usual status then.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func statusFor(err error, code string) int {
	if errors.As(err, new(refusal)) && code == "AuthFailure" {
		return http.StatusBadRequest
	}
	return status(code)
}

func status(code string) int {
	if s, ok := statusOf[code]; ok {
		return s
	}
	return http.StatusBadRequest
}

func writeXML(w http.ResponseWriter, code int, requestID string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml;charset=UTF-8")
	h.Set("X-Amzn-Requestid", requestID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that left misses its answer
}

// writeError answers in the form of EC2's errors.
func writeError(w http.ResponseWriter, err error, requestID string) {
	e := cloudError(err)
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Response><Errors><Error><Code>")
	escape(&b, e.Code)
	b.WriteString("</Code><Message>")
	escape(&b, e.Message)
	b.WriteString("</Message></Error></Errors><RequestID>" + requestID + "</RequestID></Response>")
	writeXML(w, statusFor(err, e.Code), requestID, b.Bytes())
}

// writeJSONError answers in the form of AWS's JSON protocol, version 1.1.
func writeJSONError(w http.ResponseWriter, err error, requestID string) {
	e := cloudError(err)
	body, _ := json.Marshal(map[string]string{"__type": e.Code, "message": e.Message}) // of strings: never fails
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status(e.Code))
	_, _ = w.Write(body)
}

// writeQueryError answers in the form of the errors of STS and most other services of the
// Query protocol.
func writeQueryError(w http.ResponseWriter, err error, requestID string) {
	e := cloudError(err)
	fault := "Sender"
	if status(e.Code) >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	var b bytes.Buffer
	b.WriteString(`<ErrorResponse xmlns="` + stsNamespace + `"><Error><Type>` + fault + `</Type><Code>`)
	escape(&b, e.Code)
	b.WriteString("</Code><Message>")
	escape(&b, e.Message)
	b.WriteString("</Message></Error><RequestId>" + requestID + "</RequestId></ErrorResponse>")
	writeXML(w, status(e.Code), requestID, b.Bytes())
}

// writeOtherError answers a request to a service that is not here, in the form that its client
// reads: XML where the request is a form or the service is one of those of the REST-XML protocol, else JSON, with
// the code in the header where clients of the REST-JSON protocol look first (Smithy, AWS protocols).
func writeOtherError(w http.ResponseWriter, r *http.Request, err error, service, requestID string) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "application/x-www-form-urlencoded", slices.Contains(restXML, service):
		writeQueryError(w, err, requestID)
	case r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		writeCBORError(w, err, requestID)
	default:
		w.Header().Set("X-Amzn-Errortype", cloudError(err).Code)
		writeJSONError(w, err, requestID)
	}
}

// restXML are the services of the REST-XML protocol, as they are named in signatures.
var restXML = []string{"s3", "s3express", "s3-outposts", "route53", "cloudfront"}

// writeCBORError answers in the form of the Smithy RPC v2 CBOR protocol, which CloudWatch speaks:
// a map of two texts.
func writeCBORError(w http.ResponseWriter, err error, requestID string) {
	e := cloudError(err)
	body := []byte{0xa2}
	for _, text := range []string{"__type", e.Code, "message", e.Message} {
		body = append(body, 0x79, byte(len(text)>>8), byte(len(text))) // a text whose length has 16 bits (RFC 8949, 3)
		body = append(body, text...)
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status(e.Code))
	_, _ = w.Write(body)
}
