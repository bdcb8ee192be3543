package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxBlock is the longest block in bytes that BlockReader takes: a packet of 64 KiB
// with a comment of as much is far below.
const maxBlock = 1 << 20

// Block is one whole block of a pcapng stream.
type Block struct {
	Type uint32
	Raw  []byte // with type and both lengths
}

// IsPacket tells whether the block is an enhanced packet block.
func (b Block) IsPacket() bool { return b.Type == blockPacket }

// Time is a packet's time in nanoseconds since 1970-01-01 UTC; 0 for other blocks.
func (b Block) Time() int64 {
	if !b.IsPacket() {
		return 0
	}
	return int64(uint64(le.Uint32(b.Raw[12:]))<<32 | uint64(le.Uint32(b.Raw[16:])))
}

// A BlockReader cuts a little-endian pcapng stream into its blocks.
type BlockReader struct {
	r     *bufio.Reader
	began bool
}

// NewBlockReader reads from r, which Next asks for more than it needs.
func NewBlockReader(r io.Reader) *BlockReader {
	return &BlockReader{r: bufio.NewReaderSize(r, 256<<10)}
}

// Next returns the next block, which is the caller's. The error is io.EOF at the end of
// the stream, io.ErrUnexpectedEOF in the middle of a block (also where the connection
// to the stream's writer broke there), and one that tells what is wrong where the stream
// is not pcapng.
func (b *BlockReader) Next() (Block, error) {
	head, err := b.r.Peek(8)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Block{}, err
	}
	kind, n := le.Uint32(head), le.Uint32(head[4:])
	if !b.began && kind != blockSection {
		return Block{}, fmt.Errorf("pcapng: the stream begins with block type %#x, not with a section header", kind)
	}
	if n < least(kind) || n > maxBlock || n%4 != 0 {
		return Block{}, fmt.Errorf("pcapng: block of type %#x: %d bytes is no length of it", kind, n)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(b.r, raw); err != nil {
		return Block{}, err
	}
	if tail := le.Uint32(raw[n-4:]); tail != n {
		return Block{}, fmt.Errorf("pcapng: block of type %#x: its length is %d at one end and %d at the other", kind, n, tail)
	}
	if kind == blockSection && le.Uint32(raw[8:]) != byteOrder {
		return Block{}, errors.New("pcapng: the section is not little-endian")
	}
	b.began = true
	return Block{Type: kind, Raw: raw}, nil
}

// Waiting tells whether more has been received than Next has returned.
func (b *BlockReader) Waiting() bool { return b.r.Buffered() > 0 }

// least is the length of a block without options.
func least(kind uint32) uint32 {
	switch kind {
	case blockSection:
		return 28
	case blockInterface:
		return 20
	case blockStatistics:
		return 24
	case blockPacket:
		return 32
	}
	return 12
}
