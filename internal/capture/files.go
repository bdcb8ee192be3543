package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeAt is how many bytes wait for a write at most; see Output.Flush.
const writeAt = 128 << 10

// Rotation says when a capture goes on in a new file. The zero value: never.
type Rotation struct {
	Size  int64         // bytes that a file may have; it has one packet at least
	Every time.Duration // from a file's first packet, by the packets' own time
	Files int           // the oldest goes when there are more; 0: all stay
}

// On tells whether there is more than one file.
func (r Rotation) On() bool { return r.Size > 0 || r.Every > 0 }

// Output writes blocks to a file, to several in turn, or to a stream. Each file is
// complete in itself: it begins with the section and all interfaces so far.
type Output struct {
	w      io.Writer
	file   *os.File // nil for a stream
	path   string
	rotate Rotation
	made   func(*os.File) error

	names   []string // of the files that are there, the oldest first
	number  int      // of the file, from 1
	headers []byte   // section and interfaces
	buf     []byte   // whole blocks that are not written yet
	waiting uint64   // packets in buf
	size    int64    // written to the file
	first   int64    // time of the file's first packet
	packets int      // in the file, written or not
	written uint64   // packets, in all files
	err     error
}

// NewStream writes to w.
func NewStream(w io.Writer) *Output { return &Output{w: w} }

// Create makes the file path, or empties it; with rotation, the file with -00001 before
// the name's extension, and then those with the numbers that follow. made, if not nil,
// is called with each file that was not there before.
func Create(path string, r Rotation, made func(*os.File) error) (*Output, error) {
	o := &Output{path: path, rotate: r, made: made}
	return o, o.open()
}

// Names are the files that are there, the oldest first.
func (o *Output) Names() []string { return o.names }

// Gone is how many files there were that made room for later ones.
func (o *Output) Gone() int { return max(o.number-len(o.names), 0) }

// Packets is the number of packets that have been written, in files that are gone, too.
func (o *Output) Packets() uint64 { return o.written }

// Write adds a block; Flush makes it visible. An error is final: it names the file, and
// what was written up to then is valid.
func (o *Output) Write(b Block) error {
	if o.err != nil {
		return o.err
	}
	switch {
	case b.Type == blockSection || b.Type == blockInterface:
		o.headers = append(o.headers, b.Raw...)
	case b.IsPacket():
		if o.full(b) {
			if err := o.next(); err != nil {
				return err
			}
		}
		if o.packets == 0 {
			o.first = b.Time()
		}
		o.packets++
		o.waiting++
	}
	o.buf = append(o.buf, b.Raw...)
	if len(o.buf) >= writeAt {
		return o.Flush()
	}
	return nil
}

// full tells whether a packet belongs into the next file.
func (o *Output) full(b Block) bool {
	if o.packets == 0 {
		return false
	}
	return o.rotate.Size > 0 && o.size+int64(len(o.buf)+len(b.Raw)) > o.rotate.Size ||
		o.rotate.Every > 0 && b.Time()-o.first >= int64(o.rotate.Every)
}

// next goes on in another file.
func (o *Output) next() error {
	if err := o.close(); err != nil {
		return err
	}
	if err := o.open(); err != nil {
		o.err = err
		return err
	}
	o.buf = append(o.buf, o.headers...)
	return nil
}

// open begins a file, and removes the oldest where there are too many.
func (o *Output) open() error {
	name := o.path
	if o.rotate.On() {
		o.number++
		ext := filepath.Ext(o.path)
		name = fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(o.path, ext), o.number, ext)
	}
	f, err := o.create(name)
	if err != nil {
		return fmt.Errorf("capture file: %w", err)
	}
	o.w, o.file, o.size, o.packets = f, f, 0, 0
	o.names = append(o.names, name)
	if o.rotate.Files > 0 && len(o.names) > o.rotate.Files {
		if err := os.Remove(o.names[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("capture file: the oldest of %d cannot be removed: %w", len(o.names), err), f.Close())
		}
		o.names = o.names[1:]
	}
	return nil
}

// create opens a file for writing. Packets may hold secrets: others may not read it.
func (o *Output) create(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	}
	if err == nil && o.made != nil {
		if err := o.made(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, err
}

// Flush writes what waits. Where the disk is full, half a block is taken off the file.
func (o *Output) Flush() error {
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	n, err := o.w.Write(o.buf)
	if err != nil {
		good, packets := whole(o.buf[:n])
		o.written += packets
		if o.file != nil {
			if t := o.file.Truncate(o.size + good); t != nil && isRegular(o.file) {
				err = errors.Join(err, t)
			}
		}
		o.err = fmt.Errorf("capture: %w", err)
		return o.err
	}
	o.size += int64(n)
	o.written += o.waiting
	o.buf, o.waiting = o.buf[:0], 0
	return nil
}

// whole is the length of the whole blocks at the start of b, and how many are packets.
func whole(b []byte) (n int64, packets uint64) {
	for len(b) >= 8 {
		size := int64(le.Uint32(b[4:]))
		if size > int64(len(b)) {
			break
		}
		if le.Uint32(b) == blockPacket {
			packets++
		}
		b, n = b[size:], n+size
	}
	return n, packets
}

func isRegular(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}

// Close writes what waits and closes the file.
func (o *Output) Close() error { return o.close() }

func (o *Output) close() error {
	err := o.Flush()
	if o.file == nil {
		return err
	}
	if e := o.file.Close(); e != nil && err == nil {
		err = fmt.Errorf("capture: %w", e)
		o.err = err
	}
	o.file = nil
	return err
}
