package ec2api

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"
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
	writeXML(w, status(e.Code), requestID, b.Bytes())
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
