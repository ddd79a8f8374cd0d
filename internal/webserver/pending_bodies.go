package webserver

import (
	"sync/atomic"
	"time"
)

const (
	// maxPendingBytes limits the memory of response bodies that wait for clients which do not
	// read them. A scrape of 1,000 groups has about 2 MB without gzip.
	maxPendingBytes = 64 << 20

	// minPendingBodies is the number of bodies of any size that are never evicted.
	minPendingBodies = 4
)

// pendingBodies are the response bodies that handlers write to clients. Connections can share a
// body: a Coalescer renders one for concurrent requests.
type pendingBodies struct {
	bodies  map[*pendingBody]struct{}
	byBlock map[*byte]*pendingBody // by the address of the first byte of each block
	bytes   int                    // sum of the sizes
}

// A pendingBody is the memory that stays in use until a handler has written it: one slice, or all
// blocks of a responseBody.
type pendingBody struct {
	blocks  []*byte // keys of pendingBodies.byBlock
	size    int
	writers map[*trackedConn]int // number of transfers; with HTTP/2 more than one

	// progress is when a client last accepted a part, in nanoseconds since the epoch. The writes of
	// an HTTP/2 connection do not show this: a client can cause some without reading a response.
	progress atomic.Int64
}

// newPendingBodies returns an empty set.
func newPendingBodies() pendingBodies {
	return pendingBodies{bodies: make(map[*pendingBody]struct{}), byBlock: make(map[*byte]*pendingBody)}
}

// add records that a handler begins to write blocks to c. It returns nil if there are none, or if
// the first one is empty. A block of a body that was added belongs to that body.
func (b *pendingBodies) add(c *trackedConn, blocks ...[]byte) *pendingBody {
	if len(blocks) == 0 || len(blocks[0]) == 0 {
		return nil
	}
	body := b.byBlock[&blocks[0][0]]
	if body == nil {
		body = &pendingBody{writers: make(map[*trackedConn]int)}
		for _, block := range blocks {
			key := &block[:1][0]
			body.blocks, body.size = append(body.blocks, key), body.size+cap(block)
			b.byBlock[key] = body
		}
		b.bodies[body] = struct{}{}
		b.bytes += body.size
	}
	body.recordProgress()
	body.writers[c]++
	return body
}

// finish records the end of a transfer of body to c.
func (b *pendingBodies) finish(c *trackedConn, body *pendingBody) {
	if body == nil {
		return
	}
	if body.writers[c]--; body.writers[c] == 0 {
		delete(body.writers, c)
	}
	if len(body.writers) == 0 {
		b.remove(body)
	}
}

// remove removes body unless evict has removed it.
func (b *pendingBodies) remove(body *pendingBody) {
	if _, found := b.bodies[body]; !found {
		return
	}
	delete(b.bodies, body)
	for _, key := range body.blocks {
		delete(b.byBlock, key)
	}
	b.bytes -= body.size
}

// evict closes connections until the bodies have at most maxPendingBytes. It selects the body
// with the highest product of size and time without progress, so that a client that reads its
// response, even slowly, keeps its connection. It never selects latest.
func (b *pendingBodies) evict(now time.Time, latest *pendingBody) {
	for b.bytes > maxPendingBytes && len(b.bodies) > minPendingBodies {
		var worst *pendingBody
		highest := 0.0
		for body := range b.bodies {
			if cost := body.cost(now); body != latest && (worst == nil || cost > highest) {
				worst, highest = body, cost
			}
		}
		b.remove(worst)
		for c := range worst.writers {
			c.evict()
		}
	}
}

// recordProgress records that a client accepted a part. The receiver can be nil.
func (b *pendingBody) recordProgress() {
	if b != nil {
		b.progress.Store(time.Now().UnixNano())
	}
}

// cost returns the product of the size and the time since a client accepted a part of the body.
func (b *pendingBody) cost(now time.Time) float64 {
	return float64(b.size) * float64(now.UnixNano()-b.progress.Load())
}
