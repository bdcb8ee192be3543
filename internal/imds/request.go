package imds

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of version 2 (IM-02).
const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

const maxTokenTTL = 21600 // seconds

// ServeHTTP answers one request (IM-01).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "EC2ws")
	c := s.caller(addrOf(r.RemoteAddr))
	if c == nil {
		fail(w, http.StatusNotFound)
		return
	}
	options := c.Metadata()
	if options.HttpEndpoint == "disabled" {
		fail(w, http.StatusForbidden)
		return
	}
	path := segments(r.URL.Path)
	switch r.Method {
	case http.MethodPut:
		s.token(w, r, c, path)
	case http.MethodGet, http.MethodHead:
		s.read(w, r, c, path)
	case http.MethodOptions:
		w.Header().Set("Allow", allowed(path))
	default:
		notAllowed(w, path)
	}
}

// segments are the names in a path. Empty ones do not count: scripts ask for
// latest/meta-data//hostname and for hostname/ as well.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

func isToken(path []string) bool { return len(path) == 3 && path[1] == "api" && path[2] == "token" }

func allowed(path []string) string {
	if isToken(path) {
		return "OPTIONS, PUT"
	}
	return "OPTIONS, GET, HEAD"
}

// token answers a PUT, which asks for a token, with the IP TTL that the instance's hop
// limit says.
func (s *Server) token(w http.ResponseWriter, r *http.Request, c *caller, path []string) {
	switch {
	case !isToken(path):
		notAllowed(w, path)
		return
	case path[0] != "latest", r.Header.Get("X-Forwarded-For") != "": // a proxy is not the instance
		fail(w, http.StatusForbidden)
		return
	}
	seconds, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || seconds < 1 || seconds > maxTokenTTL {
		fail(w, http.StatusBadRequest)
		return
	}
	if err := setHopLimit(r, c.Metadata().HttpPutResponseHopLimit); err != nil {
		s.broken(w, c, fmt.Errorf("hop limit: %w", err))
		return
	}
	t := s.cfg.Keys.issue(string(c.ID), s.cfg.Now(), time.Duration(seconds)*time.Second)
	w.Header().Set(ttlHeader, strconv.Itoa(seconds))
	answer(w, "text/plain", []byte(t))
}

// read answers a GET or HEAD. Without a token header it is version 1, which an instance
// may have switched off; with one, the token has to be good.
func (s *Server) read(w http.ResponseWriter, r *http.Request, c *caller, path []string) {
	if isToken(path) && path[0] == "latest" {
		notAllowed(w, path)
		return
	}
	given, v2 := r.Header[tokenHeader]
	if v2 {
		left, ok := s.cfg.Keys.check(given[0], string(c.ID), s.cfg.Now())
		if !ok {
			fail(w, http.StatusUnauthorized)
			return
		}
		w.Header().Set(ttlHeader, strconv.Itoa(int(left.Seconds())))
	} else if c.Metadata().HttpTokens == "required" {
		fail(w, http.StatusUnauthorized)
		return
	}
	content, mime, err := s.content(c, path)
	switch {
	case err != nil:
		s.broken(w, c, err)
	case mime == "":
		fail(w, http.StatusNotFound)
	default:
		w.Header().Set("Accept-Ranges", "none")
		w.Header().Set("Last-Modified", c.LaunchTime.UTC().Format(http.TimeFormat))
		answer(w, mime, content)
	}
}

func answer(w http.ResponseWriter, mime string, content []byte) {
	w.Header().Set("Content-Type", mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // who does not listen to the end asks again
}

// broken answers a request that this machine could not serve, and logs why.
func (s *Server) broken(w http.ResponseWriter, c *caller, err error) {
	s.cfg.Log.Error("instance metadata", "instance", c.ID, "error", err)
	fail(w, http.StatusInternalServerError)
}

func notAllowed(w http.ResponseWriter, path []string) {
	w.Header().Set("Allow", allowed(path))
	fail(w, http.StatusMethodNotAllowed)
}

// page is the form of all that goes wrong.
const page = `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>%[1]s</title>
 </head>
 <body>
  <h1>%[1]s</h1>
 </body>
</html>
`

func fail(w http.ResponseWriter, status int) {
	body := fmt.Sprintf(page, fmt.Sprintf("%d - %s", status, http.StatusText(status)))
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // as in answer
}
