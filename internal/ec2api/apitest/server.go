package apitest

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/ec2api"
)

// Serve serves the API from b until the test ends, and gives its URL.
func (b *Backend) Serve(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(ec2api.New(ec2api.Config{Backend: b, Auth: &ec2api.Signatures{Now: time.Now}}))
	t.Cleanup(s.Close)
	return s.URL
}
