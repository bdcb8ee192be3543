package guest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// What stands in for cloud-init's command and its files in /run/cloud-init, so that scripts that wait for it work
// where its package is not installed; if it is, its own `cloud-init status` reads these files, too
// (cloudinit/cmd/status.py).

const (
	cloudInitPath = "/usr/bin/cloud-init"
	cloudRunDir   = "/run/cloud-init"
	cloudStatus   = cloudRunDir + "/status.json"
	cloudResult   = cloudRunDir + "/result.json"
)

// dataSource is where the user data comes from, in cloud-init's words.
func dataSource(id string) string {
	if strings.HasPrefix(id, "i-") {
		return "DataSourceEc2Local"
	}
	return "DataSourceNone"
}

// cloudStages are the stages in status.json, in order; modules at work belong to one of them.
var cloudStages = []string{"init-local", "init", "modules-config", "modules-final"}

// cloudStage is one entry of status.json.
type cloudStage struct {
	Errors      []string            `json:"errors"`
	Recoverable map[string][]string `json:"recoverable_errors"`
	Start       *float64            `json:"start"`
	Finished    *float64            `json:"finished"`
}

// writeCloudStatus says which module is at work, none at the end. A full /run is nothing to stop for.
func writeCloudStatus(id, module string, problems []string) {
	now := float64(time.Now().UnixMilli()) / 1000
	v1 := map[string]any{"datasource": dataSource(id), "stage": nil}
	for _, s := range cloudStages {
		v1[s] = cloudStage{Errors: []string{}, Recoverable: map[string][]string{}, Start: &now}
	}
	if module != "" {
		v1["stage"] = stageOf(module)
	} else {
		for i, s := range cloudStages {
			stage := cloudStage{Errors: []string{}, Recoverable: map[string][]string{}, Start: &now, Finished: &now}
			if i == len(cloudStages)-1 && len(problems) > 0 {
				stage.Errors = problems
			}
			v1[s] = stage
		}
	}
	if data, err := json.MarshalIndent(map[string]any{"v1": v1}, "", " "); err == nil {
		_ = replaceFile(cloudStatus, append(data, '\n'), 0o644)
	}
}

// finishCloudStatus writes both files: now cloud-init is done.
func finishCloudStatus(id string, problems []string) {
	writeCloudStatus(id, "", problems)
	if problems == nil {
		problems = []string{}
	}
	if data, err := json.MarshalIndent(map[string]any{"v1": map[string]any{"datasource": dataSource(id), "errors": problems}}, "", " "); err == nil {
		_ = replaceFile(cloudResult, append(data, '\n'), 0o644)
	}
}

func stageOf(module string) string {
	switch module {
	case "init", "boothook", "bootcmd", "write_files", "users_groups", "ssh", "set_passwords":
		return "init"
	case "timezone", "apt_configure":
		return "modules-config"
	}
	return "modules-final"
}

// cloudInit is the command cloud-init, as far as scripts use it.
func cloudInit(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-v") {
		fmt.Fprintln(stdout, "/usr/bin/cloud-init vpcemu")
		return 0
	}
	if len(args) == 0 || args[0] != "status" {
		fmt.Fprintf(stderr, "cloud-init: only `cloud-init status [--wait] [--long] [--format tabular|json]` is known here: PID 1 of the instance carries out its user data itself\n")
		return 2
	}
	var wait, long bool
	format := "tabular"
	for i := 1; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "-w" || a == "--wait":
			wait = true
		case a == "-l" || a == "--long":
			long = true
		case a == "--format" && i+1 < len(args):
			i++
			format = args[i]
		case strings.HasPrefix(a, "--format="):
			format = strings.TrimPrefix(a, "--format=")
		default:
			fmt.Fprintf(stderr, "cloud-init status: %q: not known\n", a)
			return 2
		}
	}
	if format != "tabular" && format != "json" {
		fmt.Fprintf(stderr, "cloud-init status: format %q: not known; tabular and json are\n", format)
		return 2
	}
	return statusCommand(stdout, wait, long, format)
}

func statusCommand(stdout io.Writer, wait, long bool, format string) int {
	s := readCloudState()
	for wait && s.Status == "running" {
		if format == "tabular" {
			fmt.Fprint(stdout, ".")
		}
		time.Sleep(250 * time.Millisecond)
		s = readCloudState()
	}
	if wait && format == "tabular" {
		fmt.Fprintln(stdout)
	}
	switch {
	case format == "json":
		if data, err := json.MarshalIndent(s, "", "  "); err == nil {
			fmt.Fprintln(stdout, string(data))
		}
	case long:
		fmt.Fprintf(stdout, "status: %s\nextended_status: %s\ndetail: %s\nerrors:%s\n", s.Status, s.Extended, s.Detail, list(s.Errors))
	default:
		fmt.Fprintf(stdout, "status: %s\n", s.Status)
	}
	if s.Status == "error" {
		return 1
	}
	return 0
}

func list(errs []string) string {
	if len(errs) == 0 {
		return " []"
	}
	return "\n\t- " + strings.Join(errs, "\n\t- ")
}

// cloudState is what the command tells.
type cloudState struct {
	Status     string   `json:"status"` // running, done or error
	Extended   string   `json:"extended_status"`
	DataSource string   `json:"datasource"`
	Detail     string   `json:"detail"`
	Errors     []string `json:"errors"`
}

func readCloudState() cloudState {
	s := cloudState{Status: "running", Detail: "Running in stage: init", Errors: []string{}}
	var result struct {
		V1 struct {
			DataSource string   `json:"datasource"`
			Errors     []string `json:"errors"`
		} `json:"v1"`
	}
	if data, err := os.ReadFile(cloudResult); err == nil && json.Unmarshal(data, &result) == nil {
		s.Status, s.DataSource, s.Detail = "done", strings.ToLower(strings.TrimPrefix(result.V1.DataSource, "DataSource")), result.V1.DataSource
		if len(result.V1.Errors) > 0 {
			s.Status, s.Errors = "error", result.V1.Errors
		}
	}
	s.Extended = s.Status
	return s
}
