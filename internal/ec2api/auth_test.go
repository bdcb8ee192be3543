package ec2api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func verifying() *Signatures {
	return &Signatures{Keys: map[string]string{"AKID": "secret"}, Now: func() time.Time { return now }}
}

// signed is a request that the SDK's signer has signed, as a server gets it.
func signed(t *testing.T, body, key, secret, service string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("User-Agent", "a   client with  spaces")
	hash := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret, SessionToken: "token"}, r,
		hex.EncodeToString(hash[:]), service, "eu-west-1", at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func code(err error) string {
	var e *vpc.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestSignatures_OfTheSDK(t *testing.T) {
	const body = "Action=DescribeVpcs&Version=2016-11-15"
	for _, tt := range []struct {
		name, key, secret, service string
		at                         time.Time
		change                     func(*http.Request)
		body                       string
		want                       string
	}{
		{"as it should be", "AKID", "secret", "ec2", now, nil, body, ""},
		{"four minutes late", "AKID", "secret", "ec2", now.Add(-4 * time.Minute), nil, body, ""},
		{"six minutes late", "AKID", "secret", "ec2", now.Add(-6 * time.Minute), nil, body, "RequestExpired"},
		{"six minutes early", "AKID", "secret", "ec2", now.Add(6 * time.Minute), nil, body, "RequestExpired"},
		{"another secret", "AKID", "Secret", "ec2", now, nil, body, "AuthFailure"},
		{"another key", "AKIE", "secret", "ec2", now, nil, body, "AuthFailure"},
		{"another secret, for STS", "AKID", "Secret", "sts", now, nil, body, "SignatureDoesNotMatch"},
		{"another key, for STS", "AKIE", "secret", "sts", now, nil, body, "InvalidClientTokenId"},
		{"another body", "AKID", "secret", "ec2", now, nil, strings.Replace(body, "Vpcs", "Tags", 1), "AuthFailure"},
		{"another query", "AKID", "secret", "ec2", now, func(r *http.Request) { r.URL.RawQuery = "DryRun=true" }, body, "AuthFailure"},
		{"another path", "AKID", "secret", "ec2", now, func(r *http.Request) { r.URL.Path = "/x" }, body, "AuthFailure"},
		{"another host", "AKID", "secret", "ec2", now, func(r *http.Request) { r.Host = "localhost" }, body, "AuthFailure"},
		{"another token", "AKID", "secret", "ec2", now, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, body, "AuthFailure"},
		{"another time", "AKID", "secret", "ec2", now, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261128T120001Z") }, body, "AuthFailure"},
		{"another Region", "AKID", "secret", "ec2", now, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "eu-west-1", "eu-west-2", 1))
		}, body, "AuthFailure"},
		{"the host not signed", "AKID", "secret", "ec2", now, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ";host", "", 1))
		}, body, "IncompleteSignature"},
	} {
		r := signed(t, body, tt.key, tt.secret, tt.service, tt.at)
		if tt.change != nil {
			tt.change(r)
		}
		caller, err := verifying().Check(r, []byte(tt.body))
		if code(err) != tt.want || err != nil && tt.want == "" {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err == nil && caller != (Caller{"AKID", "eu-west-1", tt.service}) {
			t.Errorf("%s: %+v", tt.name, caller)
		}
	}
}

// A presigned request bears its signature in the query string, and is good as long as it says.
func TestSignatures_Presigned(t *testing.T) {
	presignFor := func(seconds string, at time.Time) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:4566/?Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=tag%3AName&Filter.1.Value.1=a%20b&X-Amz-Expires="+seconds, nil)
		hash := sha256.Sum256(nil)
		url, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, r,
			hex.EncodeToString(hash[:]), "ec2", "eu-west-1", at)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest(http.MethodGet, url, nil)
	}
	presign := func(at time.Time) *http.Request { return presignFor("600", at) }
	for seconds, want := range map[string]string{"180": "", "60": "RequestExpired", "18446744074": "IncompleteSignature"} { // the last is more than a Duration has
		if _, err := verifying().Check(presignFor(seconds, now.Add(-2*time.Minute)), nil); code(err) != want {
			t.Errorf("two minutes after, good for %s s: %v, want %q", seconds, err, want)
		}
	}
	for at, want := range map[time.Time]string{now: "", now.Add(-9 * time.Minute): "", now.Add(-11 * time.Minute): "RequestExpired"} {
		if _, err := verifying().Check(presign(at), nil); code(err) != want {
			t.Errorf("%s: %v, want %q", at, err, want)
		}
	}
	for _, change := range [][2]string{{"X-Amz-Expires=600", "X-Amz-Expires=700000"}, {"X-Amz-Expires=600", ""}, {"AWS4-HMAC-SHA256", "AWS4"}} {
		r := presign(now)
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, change[0], change[1], 1)
		if _, err := verifying().Check(r, nil); code(err) != "IncompleteSignature" {
			t.Errorf("%v: %v", change, err)
		}
	}
	r := presign(now)
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "DescribeVpcs", "DescribeTags", 1)
	if _, err := verifying().Check(r, nil); code(err) != "AuthFailure" {
		t.Errorf("another action: %v", err)
	}
}

// The example that AWS gives of a signature (IAM User Guide, Create a signed AWS API request: the
// get-vanilla request of its test suite).
func TestSignatures_AWSExample(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
	r.Host = "example.amazonaws.com"
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "+
		"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	s := &Signatures{Keys: map[string]string{"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, Hosts: []string{"example.amazonaws.com"},
		Now: func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }}
	if _, err := s.Check(r, nil); err != nil {
		t.Error(err)
	}
	r.Header.Set("X-Amz-Date", "20150830T123601Z")
	if _, err := s.Check(r, nil); code(err) != "SignatureDoesNotMatch" {
		t.Error(err)
	}
}
