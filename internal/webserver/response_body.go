package webserver

import "io"

// A responseBody is a buffer of blocks. A buffer in one piece would be copied to one of twice the
// size when it is full, which takes three times the memory of the response.
type responseBody struct {
	blocks [][]byte // all but the last are full
	size   int
}

const (
	minBlock = 4 << 10
	maxBlock = 256 << 10
)

// Write appends p.
func (b *responseBody) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		last := len(b.blocks) - 1
		if last < 0 || len(b.blocks[last]) == cap(b.blocks[last]) {
			b.addBlock()
			last++
		}
		block := b.blocks[last]
		n := copy(block[len(block):cap(block)], p)
		b.blocks[last], p = block[:len(block)+n], p[n:]
		b.size += n
	}
	return written, nil
}

// addBlock adds an empty block, that of an earlier response if there is one.
func (b *responseBody) addBlock() {
	if n := len(b.blocks); n < cap(b.blocks) {
		if b.blocks = b.blocks[:n+1]; b.blocks[n] != nil {
			return
		}
		b.blocks = b.blocks[:n]
	}
	b.blocks = append(b.blocks, make([]byte, 0, min(max(b.size, minBlock), maxBlock)))
}

// trim frees the blocks of an earlier response that this one did not need.
func (b *responseBody) trim() { clear(b.blocks[len(b.blocks):cap(b.blocks)]) }

// reset removes all bytes. The next response reuses the blocks.
func (b *responseBody) reset() {
	for i := range b.blocks {
		b.blocks[i] = b.blocks[i][:0]
	}
	b.blocks, b.size = b.blocks[:0], 0
}

// WriteTo implements [io.WriterTo].
func (b *responseBody) WriteTo(w io.Writer) (written int64, err error) {
	for _, block := range b.blocks {
		n, err := w.Write(block)
		if written += int64(n); err != nil {
			return written, err
		}
	}
	return written, nil
}
