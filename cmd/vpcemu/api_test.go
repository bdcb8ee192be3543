package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

func TestReadKeys(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"[default]\naws_access_key_id = A\naws_secret_access_key = a/+=\n":                                                                     {"A": "a/+="},
		"[a]\naws_secret_access_key=a\naws_access_key_id=A\n[b]\naws_secret_access_key=b\naws_access_key_id=B\nregion=x\n":                     {"A": "a", "B": "b"},
		"[a]\naws_access_key_id=A\n[b]\naws_secret_access_key=b\n":                                                                             nil,
		"[a]\nrole_arn = arn:aws:iam::123456789012:role/x\n\n# none\n[b]\nAWS_ACCESS_KEY_ID=B\nAWS_SECRET_ACCESS_KEY=b\naws_session_token=t\n": {"B": "b"},
		"": nil,
	} {
		path := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readKeys(path)
		if !maps.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestReadKeys_OthersMayNotReadThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte("aws_access_key_id=A\naws_secret_access_key=a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := readKeys(path); err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "key=a") {
		t.Error(err)
	}
}

func TestAPIEnvironment(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:4566": "export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n",
		"0.0.0.0:80":     "export AWS_ENDPOINT_URL=http://127.0.0.1:80\n",
		"[::]:80":        "export AWS_ENDPOINT_URL=http://[::1]:80\n",
		"[::1]:4566":     "export AWS_ENDPOINT_URL=http://[::1]:4566\n",
	} {
		text := environment(&control.API{Listen: listen}, "eu-west-1")
		if !strings.HasPrefix(text, want) || !strings.Contains(text, "AWS_REGION=eu-west-1 ") || !strings.Contains(text, "AWS_SECRET_ACCESS_KEY=any") {
			t.Errorf("%s: %s", listen, text)
		}
		if text = environment(&control.API{Listen: listen, Keys: true}, "eu-west-1"); strings.Contains(text, "SECRET") {
			t.Errorf("%s with keys: %s", listen, text)
		}
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{"127.0.0.1:4566": "127.0.0.1:4566", "0.0.0.0:4566": "127.0.0.1:4566", "[::]:4566": "[::1]:4566", "10.0.0.0:4566": "10.0.0.0:4566", "": ""} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
