package ssm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/ssm"
)

// lab is a Backend whose instances are this machine.
type lab struct{ list []ssm.Instance }

func (l *lab) Instances(string) []ssm.Instance { return l.list }

func (l *lab) RunScript(ctx context.Context, id string, s ssm.Script) (int, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", s.Text)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = []string{"ID=" + id}, s.Dir, s.Stdout, s.Stderr
	err := cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 126, err
}

func (l *lab) Parameters() []ssm.Parameter {
	var list []ssm.Parameter
	for n := range 12 {
		list = append(list, ssm.Parameter{Name: fmt.Sprintf("/aws/service/one/%02d", n), Value: fmt.Sprintf("ami-%d", n)})
	}
	return append(list, ssm.Parameter{Name: "/aws/service/one/more/image", Value: "ami-more"})
}

const one, two, down = "i-00000000000000001", "i-00000000000000002", "i-00000000000000003"

type service struct {
	t      *testing.T
	server *ssm.Server
}

func newService(t *testing.T) *service {
	ctx, cancel := context.WithCancel(context.Background())
	l := &lab{list: []ssm.Instance{
		{ID: one, Name: "ip-10-0-0-4", Address: "10.0.0.4", Running: true, Tags: map[string]string{"Role": "web"}},
		{ID: two, Name: "ip-10-0-0-5", Address: "10.0.0.5", Running: true, Tags: map[string]string{"Role": "db"}},
		{ID: down, Tags: map[string]string{"Role": "web"}},
	}}
	s := ssm.New(ctx, l, func() string { return "123456789012" }, func(context.Context) string { return "eu-west-1" })
	t.Cleanup(func() { cancel(); s.Wait() })
	return &service{t, s}
}

// call sends one request and gives the decoded answer, and the error's code.
func (s *service) call(action, input string) (map[string]any, string) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
	r.Header.Set("X-Amz-Target", "AmazonSSM."+action)
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		s.t.Errorf("%s: %v in %s", action, err, w.Body) // maybe beside the test's own goroutine
	}
	code, _ := out["__type"].(string)
	if (w.Code == 200) != (code == "") {
		s.t.Errorf("%s: status %d with %s", action, w.Code, w.Body)
	}
	return out, code
}

// send sends a command, and gives its ID.
func (s *service) send(input string) string {
	s.t.Helper()
	out, code := s.call("SendCommand", input)
	if code != "" {
		s.t.Fatal(out)
	}
	return out["Command"].(map[string]any)["CommandId"].(string)
}

// result waits for the end of a command in an instance.
func (s *service) result(id, instance string) map[string]any {
	s.t.Helper()
	for range 1000 {
		out, code := s.call("GetCommandInvocation", fmt.Sprintf(`{"CommandId":%q,"InstanceId":%q}`, id, instance))
		if code != "" {
			s.t.Fatal(out)
		}
		if st := out["Status"]; st != "Pending" && st != "InProgress" {
			return out
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the command has no end")
	return nil
}

func command(instance, script string, more ...string) string {
	b, _ := json.Marshal(script)
	return fmt.Sprintf(`{"DocumentName":"AWS-RunShellScript","InstanceIds":[%q],"Parameters":{"commands":[%s]%s}}`, instance, b, strings.Join(more, ""))
}

func TestSendCommand_RunsToItsEnd(t *testing.T) {
	s := newService(t)
	for _, tt := range []struct {
		script, more, status string
		exit                 float64
		out, err             string
	}{
		{"echo hello $ID; echo no >&2", "", "Success", 0, "hello " + one + "\n", "no\n"},
		{"echo half; exit 3", "", "Failed", 3, "half\n", "\nfailed to run commands: exit status 3"},
		{"pwd", `,"workingDirectory":["/usr"]`, "Success", 0, "/usr\n", ""},
		{"exec sleep 30", `,"executionTimeout":["1"]`, "TimedOut", 137, "", ""},
		{"printf '\\377x'", "", "Success", 0, "\uFFFDx", ""},
	} {
		got := s.result(s.send(command(one, tt.script, tt.more)), one)
		if got["Status"] != tt.status || got["ResponseCode"] != tt.exit || got["StandardOutputContent"] != tt.out || got["StandardErrorContent"] != tt.err {
			t.Errorf("%s: %v", tt.script, got)
		}
	}
}

func TestSendCommand_LongOutputIsCut(t *testing.T) {
	s := newService(t)
	got := s.result(s.send(command(one, "head -c 100000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' y >&2")), one)
	if o, e := got["StandardOutputContent"].(string), got["StandardErrorContent"].(string); len(o) != 24000 || len(e) != 8000 {
		t.Errorf("%d and %d characters", len(o), len(e))
	}
}

func TestSendCommand_ByTarget(t *testing.T) {
	s := newService(t)
	id := s.send(`{"DocumentName":"AWS-RunShellScript","Targets":[{"Key":"tag:Role","Values":["web","db"]}],"Parameters":{"commands":["echo $ID"]}}`)
	for _, i := range []string{one, two} {
		if got := s.result(id, i); got["StandardOutputContent"] != i+"\n" {
			t.Errorf("%s: %v", i, got)
		}
	}
	out, _ := s.call("ListCommandInvocations", fmt.Sprintf(`{"CommandId":%q,"Details":true,"MaxResults":1}`, id))
	list := out["CommandInvocations"].([]any)
	if len(list) != 1 || out["NextToken"] == nil {
		t.Fatal(out)
	}
	if p := list[0].(map[string]any)["CommandPlugins"].([]any)[0].(map[string]any); p["Output"] != one+"\n" || p["Status"] != "Success" {
		t.Error(p)
	}
	out, _ = s.call("ListCommandInvocations", fmt.Sprintf(`{"CommandId":%q,"NextToken":%q}`, id, out["NextToken"]))
	if list := out["CommandInvocations"].([]any); len(list) != 1 || list[0].(map[string]any)["InstanceId"] != two || out["NextToken"] != nil {
		t.Error(out)
	}
	out, _ = s.call("ListCommands", `{}`)
	if c := out["Commands"].([]any)[0].(map[string]any); c["Status"] != "Success" || c["TargetCount"] != 2.0 || c["CompletedCount"] != 2.0 {
		t.Error(c)
	}
}

func TestCancelCommand(t *testing.T) {
	s := newService(t)
	id := s.send(command(one, "exec sleep 30"))
	if out, code := s.call("CancelCommand", fmt.Sprintf(`{"CommandId":%q}`, id)); code != "" {
		t.Fatal(out)
	}
	if got := s.result(id, one); got["Status"] != "Cancelled" {
		t.Error(got)
	}
}

func TestDescribeInstanceInformation(t *testing.T) {
	s := newService(t)
	for filter, want := range map[string]string{
		`{}`: one + two,
		`{"Filters":[{"Key":"InstanceIds","Values":["` + two + `","` + down + `"]}]}`:            two,
		`{"Filters":[{"Key":"tag:Role","Values":["web"]}]}`:                                      one,
		`{"InstanceInformationFilterList":[{"key":"PingStatus","valueSet":["ConnectionLost"]}]}`: "",
	} {
		out, _ := s.call("DescribeInstanceInformation", filter)
		got := ""
		for _, i := range out["InstanceInformationList"].([]any) {
			got += i.(map[string]any)["InstanceId"].(string)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := newService(t)
	for _, tt := range []struct{ action, input, code string }{
		{"SendCommand", command(down, "true"), "InvalidInstanceId"},
		{"SendCommand", command("i-0aaaaaaaaaaaaaaaa", "true"), "InvalidInstanceId"},
		{"SendCommand", strings.Replace(command(one, "true"), "RunShell", "RunPower", 1), "InvalidDocument"},
		{"SendCommand", `{"DocumentName":"AWS-RunShellScript","InstanceIds":["` + one + `"]}`, "InvalidParameters"},
		{"SendCommand", command(one, "true", `,"colour":["red"]`), "InvalidParameters"},
		{"SendCommand", command(one, "true", `,"executionTimeout":["never"]`), "InvalidParameters"},
		{"SendCommand", `{"DocumentName":"AWS-RunShellScript","Parameters":{"commands":["true"]}}`, "ValidationException"},
		{"SendCommand", `{"DocumentName":"AWS-RunShellScript","Targets":[{"Key":"colour","Values":["x"]}],"Parameters":{"commands":["true"]}}`, "InvalidTarget"},
		{"SendCommand", `{`, "SerializationException"},
		{"GetCommandInvocation", `{"CommandId":"x","InstanceId":"` + one + `"}`, "InvocationDoesNotExist"},
		{"GetCommandInvocation", `{}`, "ValidationException"},
		{"ListCommandInvocations", `{"CommandId":"x"}`, "InvalidCommandId"},
		{"ListCommandInvocations", `{"MaxResults":0}`, "ValidationException"},
		{"ListCommandInvocations", `{"NextToken":"?"}`, "InvalidNextToken"},
		{"CancelCommand", `{"CommandId":"x"}`, "InvalidCommandId"},
		{"DescribeInstanceInformation", `{"Filters":[{"Key":"colour","Values":["x"]}]}`, "InvalidInstanceInformationFilterValue"},
		{"PutParameter", `{"Name":"x"}`, "UnknownOperationException"},
	} {
		if out, code := s.call(tt.action, tt.input); code != tt.code {
			t.Errorf("%s %s: %v, want %s", tt.action, tt.input, out, tt.code)
		}
	}
}

// FuzzServeHTTP: no request ends in anything but an answer.
func FuzzServeHTTP(f *testing.F) {
	f.Add("SendCommand", []byte(command("i-0aaaaaaaaaaaaaaaa", "true")))
	f.Add("ListCommands", []byte(`{"Filters":[{"key":"Status","value":"Success"}],"NextToken":"MQ"}`))
	f.Add("DescribeInstanceInformation", []byte(`{"MaxResults":5}`))
	s := ssm.New(f.Context(), &lab{}, func() string { return "" }, func(context.Context) string { return "" })
	f.Fuzz(func(t *testing.T, action string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header["X-Amz-Target"] = []string{"AmazonSSM." + action}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
	})
}

func TestParameters(t *testing.T) {
	s := newService(t)
	get := func(name string) (map[string]any, string) {
		out, code := s.call("GetParameter", fmt.Sprintf(`{"Name": %q, "WithDecryption": true}`, name))
		p, _ := out["Parameter"].(map[string]any)
		return p, code
	}
	p, _ := get("/aws/service/one/03")
	for name, want := range map[string]any{"Name": "/aws/service/one/03", "Value": "ami-3", "Type": "String", "DataType": "aws:ec2:image", "Version": 1.0,
		"ARN": "arn:aws:ssm:eu-west-1::parameter/aws/service/one/03", "LastModifiedDate": 1793491200.0} {
		if p[name] != want {
			t.Errorf("%s is %v, want %v", name, p[name], want)
		}
	}
	for _, name := range []string{"arn:aws:ssm:eu-west-1::parameter/aws/service/one/03", "/aws/service/one/03:1"} {
		if p, code := get(name); code != "" || p["Value"] != "ami-3" {
			t.Errorf("%s: %v %s", name, p, code)
		}
	}
	for name, want := range map[string]string{"": "ValidationException", "/aws/service/one/03:2": "ParameterNotFound", "/mine": "ParameterNotFound",
		"arn:aws:ssm:us-east-1::parameter/aws/service/one/03": "ParameterNotFound"} {
		if _, code := get(name); code != want {
			t.Errorf("%q: %s, want %s", name, code, want)
		}
	}
	out, _ := s.call("GetParameters", `{"Names": ["/aws/service/one/01", "/mine", "/aws/service/one/00", "/aws/service/one/01"]}`)
	if got := fmt.Sprint(values(out), out["InvalidParameters"]); got != "[ami-1 ami-0] [/mine]" {
		t.Error(got)
	}
	for body, want := range map[string]string{`{}`: "ValidationException", `{"Names": ["1","2","3","4","5","6","7","8","9","10","11"]}`: "ValidationException"} {
		if _, code := s.call("GetParameters", body); code != want {
			t.Errorf("%s: %s", body, code)
		}
	}
}

func TestParametersByPath(t *testing.T) {
	s := newService(t)
	for _, c := range []struct {
		input string
		pages []int
	}{
		{`"Path": "/aws/service/one"`, []int{10, 2}},
		{`"Path": "/aws/service/one/", "MaxResults": 5`, []int{5, 5, 2}},
		{`"Path": "/aws/service", "Recursive": true`, []int{10, 3}},
		{`"Path": "/aws/service"`, []int{0}},
		{`"Path": "/aws/service/on", "Recursive": true`, []int{0}},
		{`"Path": "/aws/service/one/more"`, []int{1}},
	} {
		token := ""
		for i, want := range c.pages {
			out, code := s.call("GetParametersByPath", fmt.Sprintf(`{%s, "NextToken": %q}`, c.input, token))
			token, _ = out["NextToken"].(string)
			if got := len(values(out)); code != "" || got != want || (token == "") != (i == len(c.pages)-1) {
				t.Errorf("%s: page %d has %d, want %d; token %q, %s", c.input, i, got, want, token, code)
			}
		}
	}
	for body, want := range map[string]string{`{"Path": "x"}`: "ValidationException", `{"Path": "/", "MaxResults": 11}`: "ValidationException",
		`{"Path": "/", "NextToken": "?"}`: "InvalidNextToken", `{"Path": "/", "ParameterFilters": [{"Key": "Type"}]}`: "InvalidFilterKey"} {
		if _, code := s.call("GetParametersByPath", body); code != want {
			t.Errorf("%s: %s", body, code)
		}
	}
}

// values are those of the parameters in an answer.
func values(out map[string]any) (list []any) {
	parameters, _ := out["Parameters"].([]any)
	for _, p := range parameters {
		list = append(list, p.(map[string]any)["Value"])
	}
	return list
}
