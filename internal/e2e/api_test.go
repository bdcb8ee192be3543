package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiCall calls an endpoint as a client without keys does: its signature is well-formed, no more.
func apiCall(endpoint, action string, params ...string) (string, error) {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, endpoint+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=any/"+now.Format("20060102")+"/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", action, answer.Status, text)
	}
	return string(text), err
}

// The daemon is killed while clients make objects. It comes back at the same port with everything that it
// had answered for, instances have run on meanwhile, and a client that repeats a call gets the first answer.
func TestAPI_Kill9LosesNothingThatWasAnswered(t *testing.T) {
	l := newLab(t, "version: 1\nregion: us-east-1\n")
	l.cli("up", l.file)
	endpoint := l.serveAPI()
	must := func(action string, params ...string) string {
		t.Helper()
		text, err := apiCall(endpoint, action, params...)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	id := func(text, prefix string) string {
		t.Helper()
		found := regexp.MustCompile(`>(` + prefix + `-[0-9a-f]{17})<`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no %s in %s", prefix, text)
		}
		return found[1]
	}
	network := id(must("CreateVpc", "CidrBlock", "10.0.0.0/16"), "vpc")
	subnet := id(must("CreateSubnet", "VpcId", network, "CidrBlock", "10.0.0.0/24"), "subnet")
	run := []string{"SubnetId", subnet, "ImageId", "ami-12345678", "MinCount", "1", "MaxCount", "1", "ClientToken", "once"}
	instance := id(must("RunInstances", run...), "i")
	eventually(t, "the instance runs", func() error {
		if text := must("DescribeInstances", "InstanceId.1", instance); !strings.Contains(text, "<name>running</name>") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	l.in(instance, "touch /run/here")

	const many = 200
	var all sync.WaitGroup
	var answered [many]bool
	begun := make(chan bool, many)
	for n := range many {
		all.Go(func() {
			_, err := apiCall(endpoint, "CreateSecurityGroup", "VpcId", network, "GroupName", fmt.Sprintf("group-%03d", n), "GroupDescription", "d")
			answered[n] = err == nil
			begun <- true
		})
	}
	for range many / 10 {
		<-begun
	}
	l.crash()
	all.Wait()
	l.cli("ls") // starts the daemon

	groups := must("DescribeSecurityGroups", "Filter.1.Name", "vpc-id", "Filter.1.Value.1", network)
	survived := 0
	for n, ok := range answered {
		if !ok {
			continue
		}
		survived++
		if name := fmt.Sprintf("group-%03d", n); !strings.Contains(groups, name) {
			t.Errorf("%s was answered for, and has gone", name)
		}
	}
	if survived == 0 {
		t.Error("no call was answered")
	}
	if again := id(must("RunInstances", run...), "i"); again != instance {
		t.Errorf("the repeated call started %s besides %s", again, instance)
	}
	l.in(instance, "test -e /run/here")
	if text := must("DescribeInstances", "InstanceId.1", instance); !strings.Contains(text, "<name>running</name>") {
		t.Error(text)
	}
}
