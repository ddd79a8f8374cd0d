package webserver

import "time"

const (
	// maxPendingBytes limits the memory of response bodies that wait for clients which do not
	// read them. A scrape of 1,000 groups has about 2 MB without gzip.
	maxPendingBytes = 64 << 20

	// minPendingBodies is the number of bodies of any size that are never evicted.
	minPendingBodies = 4
)

// pendingBodies are the response bodies that handlers write to clients. The key is the address
// of the first byte, because connections can share a body: a Coalescer renders one for
// concurrent requests.
type pendingBodies struct {
	bodies map[*byte]*pendingBody
	bytes  int // sum of the sizes
}

// A pendingBody is the memory of one Write of a handler.
type pendingBody struct {
	key     *byte
	size    int
	writers map[*trackedConn]int // number of Writes; with HTTP/2 more than one
}

// add records that a handler writes p to c. It returns nil if p is empty.
func (b *pendingBodies) add(c *trackedConn, p []byte) *pendingBody {
	if len(p) == 0 {
		return nil
	}
	body := b.bodies[&p[0]]
	if body == nil {
		body = &pendingBody{key: &p[0], size: cap(p), writers: make(map[*trackedConn]int)}
		if b.bodies == nil {
			b.bodies = make(map[*byte]*pendingBody)
		}
		b.bodies[body.key] = body
		b.bytes += body.size
	}
	body.writers[c]++
	return body
}

// finish records the end of the Write of body to c.
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
	if b.bodies[body.key] == body {
		delete(b.bodies, body.key)
		b.bytes -= body.size
	}
}

// evict closes connections until the bodies have at most maxPendingBytes. It selects the body
// with the highest product of size and time without progress, so that a client that reads its
// response, even slowly, keeps its connection. It never selects latest.
func (b *pendingBodies) evict(now time.Time, latest *pendingBody) {
	for b.bytes > maxPendingBytes && len(b.bodies) > minPendingBodies {
		var worst *pendingBody
		highest := 0.0
		for _, body := range b.bodies {
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

// cost returns the product of the size and the time since a client received a part of the body.
func (b *pendingBody) cost(now time.Time) float64 {
	var last int64
	for c := range b.writers {
		last = max(last, c.lastWrite.Load())
	}
	return float64(b.size) * float64(now.UnixNano()-last)
}
