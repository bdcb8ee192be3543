package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// flowLogDir is the folder below a lab's state directory that stands for CloudWatch and S3.
const flowLogDir = "flow-logs"

// s3Every is how often AWS begins another file in S3.
const s3Every = 5 * time.Minute

// flowLogFiles writes flow logs below a lab's state directory, or to the absolute path
// that a log names. Nothing is kept open: files may be moved away at any time.
type flowLogFiles struct{ stateDir string }

// add appends records to the log's file, under a header if it is new. A write that fails
// leaves the file as it was.
func (d flowLogFiles) add(l *vpc.FlowLog, format *record.Format, records []byte, now time.Time) error {
	f, err := d.open(l, now)
	if err != nil {
		return tellFull(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: is no regular file: give the flow log another log_destination", f.Name())
	}
	header, err := headerOf(f, info.Size())
	if err != nil {
		return err
	}
	if header != format.Header() {
		records = append([]byte(format.Header()+"\n"), records...)
	}
	if _, err := f.WriteAt(records, info.Size()); err != nil {
		return errors.Join(tellFull(err), f.Truncate(info.Size()))
	}
	return nil
}

func tellFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: free some, and it goes on", err)
	}
	return err
}

// open opens the file that records of this moment go to.
func (d flowLogFiles) open(l *vpc.FlowLog, now time.Time) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE
	if strings.HasPrefix(l.LogDestination, "/") {
		return os.OpenFile(l.LogDestination, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
	}
	root, err := os.OpenRoot(d.stateDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := d.name(l, now)
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return root.OpenFile(name, flags, 0o644)
}

// name is the file's path below the state directory. In a bucket it is AWS's, but for the
// hash and the compression.
func (flowLogFiles) name(l *vpc.FlowLog, now time.Time) string {
	bucket, prefix := l.Bucket()
	if bucket == "" {
		return path.Join(flowLogDir, l.LogGroupName, string(l.ID)+".log")
	}
	at := now.UTC().Truncate(s3Every)
	file := fmt.Sprintf("%s_vpcflowlogs_%s_%s_%s.log", l.Account, l.Region, l.ID, at.Format("20060102T1504Z"))
	return path.Join(flowLogDir, bucket, prefix, "AWSLogs", l.Account, "vpcflowlogs", l.Region, at.Format("2006/01/02"), file)
}

// headerOf is the first line of a flow log's file, "" of an empty one. A file that holds
// something else is not touched.
func headerOf(f *os.File, size int64) (string, error) {
	if size == 0 {
		return "", nil
	}
	line, err := bufio.NewReader(io.NewSectionReader(f, 0, size)).ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	if err != nil || !record.IsHeader(line) {
		return "", fmt.Errorf("%s: the file is there already and is no flow log: move it away, or give the flow log another log_destination", f.Name())
	}
	return line, nil
}

// list finds the files of a log that are there, in the order in which they were written.
func (d flowLogFiles) list(l *vpc.FlowLog) ([]string, error) {
	bucket, prefix := l.Bucket()
	switch {
	case strings.HasPrefix(l.LogDestination, "/"):
		return existing(l.LogDestination), nil
	case bucket == "":
		return existing(filepath.Join(d.stateDir, d.name(l, time.Time{}))), nil
	}
	dir := filepath.Join(d.stateDir, flowLogDir, bucket, filepath.FromSlash(prefix), "AWSLogs", l.Account, "vpcflowlogs", l.Region)
	return filepath.Glob(filepath.Join(globQuote(dir), "*", "*", "*", "*_"+string(l.ID)+"_*.log")) // sorted by date
}

func existing(name string) []string {
	if _, err := os.Stat(name); err != nil {
		return nil
	}
	return []string{name}
}

// globQuote makes a path match itself alone.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}
