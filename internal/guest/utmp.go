package guest

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"time"
)

// Types of records in utmp(5).
const (
	utmpRunLevel = 1
	utmpBoot     = 2
)

// writeUtmp says when the instance was started and in which run level it is, for who(1) and last(1); sshd and
// others note log-ins in a file that is there.
func writeUtmp(path string, now time.Time) error {
	var b bytes.Buffer
	for _, r := range []struct {
		kind int16
		pid  int32
		user string
	}{{utmpBoot, 0, "reboot"}, {utmpRunLevel, '3', "runlevel"}} {
		b.Write(utmpRecord(r.kind, r.pid, r.user, now))
	}
	return os.WriteFile(path, b.Bytes(), 0o664)
}

// utmpRecord is a struct utmp. Session and time are of 32 bits where the C library keeps those of 32-bit programs
// (<bits/utmp.h>, __WORDSIZE_TIME64_COMPAT32), else of 64.
func utmpRecord(kind int16, pid int32, user string, now time.Time) []byte {
	b := make([]byte, 384)
	wide := runtime.GOARCH == "arm64" || runtime.GOARCH == "riscv64" || runtime.GOARCH == "loong64"
	if wide {
		b = make([]byte, 400)
	}
	e := binary.NativeEndian
	e.PutUint16(b, uint16(kind))
	e.PutUint32(b[4:], uint32(pid))
	copy(b[8:40], "~")
	copy(b[40:44], "~~")
	copy(b[44:76], user)
	if wide {
		e.PutUint64(b[344:], uint64(now.Unix()))
		e.PutUint64(b[352:], uint64(now.Nanosecond()/1000))
	} else {
		e.PutUint32(b[340:], uint32(now.Unix()))
		e.PutUint32(b[344:], uint32(now.Nanosecond()/1000))
	}
	return b
}
