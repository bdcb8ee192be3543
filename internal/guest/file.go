package guest

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxFile is the size in bytes beyond which a file of /etc is not what it should be.
const maxFile = 16 << 20

// readFile reads a file that the instance's users may have replaced by anything: a pipe would block PID 1, and
// /dev/zero would fill the machine's memory.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return data, err
}
