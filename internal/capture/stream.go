package capture

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/vpcemu/vpcemu/dataplane"
)

// Source is what a stream is made of: a *dataplane.Tap. Next returns what waits also
// when ctx has ended.
type Source interface {
	Next(ctx context.Context) (dataplane.Taken, error)
	Skipped() uint64
}

// Stream writes the packets of src to w as pcapng until ctx ends, src does, or count packets
// (0: any number) are written; then what had been taken by then, and the statistics. Each
// write is of whole blocks, and comes as soon as no further packet waits. now reads the
// clock of Taken.At. It returns the numbers of packets written and skipped.
func Stream(ctx context.Context, src Source, b *Builder, w io.Writer, count uint64, now func() int64) (packets, skipped uint64, err error) {
	if count == 0 {
		count = math.MaxUint64
	}
	buf := b.Begin(nil)
	write := func() error {
		if len(buf) == 0 {
			return nil
		}
		_, err := w.Write(buf)
		buf = buf[:0]
		return err
	}
	next := nextOf(ctx, src, write)
	ends := int64(math.MaxInt64)
	for b.Packets() < count {
		var t dataplane.Taken
		var more bool
		if t, more, err = next(); err != nil || !more {
			break
		}
		if ends == math.MaxInt64 && ctx.Err() != nil {
			ends = now() // where packets never cease to come
		}
		if t.At > ends {
			break
		}
		buf = b.Append(buf, &t, src.Skipped(), count-b.Packets())
		if len(buf) >= writeAt {
			if err = write(); err != nil {
				break
			}
		}
	}
	skipped = src.Skipped()
	if err == nil {
		buf = b.End(buf, now(), skipped)
		err = write()
	}
	if err != nil {
		err = fmt.Errorf("capture: %w", err)
	}
	return b.Packets(), skipped, err
}

// nextOf gives a function that takes the next packet, calling idle before it waits for
// one. more is false at the end.
func nextOf(ctx context.Context, src Source, idle func() error) func() (t dataplane.Taken, more bool, err error) {
	ended, end := context.WithCancel(context.Background())
	end() // to take what waits, and not to wait
	return func() (t dataplane.Taken, more bool, err error) {
		if t, err = src.Next(ended); err == nil {
			return t, true, nil
		}
		if err = idle(); err != nil {
			return t, false, err
		}
		if t, err = src.Next(ctx); err == nil {
			return t, true, nil
		}
		// What came in the moment before ctx ended.
		t, err = src.Next(ended)
		return t, err == nil, nil
	}
}
