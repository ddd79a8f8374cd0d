package webserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// A trackedConn is a connection of a connLimiter. It records whether the server
// waits for the client, and since when.
type trackedConn struct {
	net.Conn
	limiter *connLimiter
	tls     *tls.Config   // of the handshake
	reads   *rate.Limiter // of received bytes; nil without TLS
	hasRead bool          // as receivedBytes; used only by the reading goroutine, without the lock

	// limiter.mu guards the fields below.
	working       int       // handlers that compute a response; with HTTP/2 more than one
	idle          bool      // the connection has no request; it has none before its first header is complete
	since         time.Time // when the connection began to wait for its client, or received its first bytes
	receivedBytes bool      // the server has read from the connection
	evicted       bool      // closed by the connLimiter; its server goroutine has not noticed yet
}

// Read implements [net.Conn]. It records the first bytes, and delays a TLS client that sends more
// than requests: HTTP/2 frames and TLS records cost CPU time without one.
func (c *trackedConn) Read(p []byte) (int, error) {
	if c.reads != nil && len(p) > delayedReadSize && c.limiter.pacer.reads.Tokens() < sharedReadBurst/2 {
		p = p[:delayedReadSize]
	}
	n, err := c.Conn.Read(p)
	if c.reads != nil && n > 0 && !c.reads.AllowN(time.Now(), n) {
		time.Sleep(reserve(c.limiter.pacer.reads, n, maxReadDelay))
	}
	if n > 0 && !c.hasRead {
		c.hasRead = true
		c.limiter.mu.Lock()
		c.receivedBytes, c.since = true, time.Now()
		c.limiter.mu.Unlock()
	}
	return n, err
}

// Close implements [net.Conn]. It frees the place of the connection.
func (c *trackedConn) Close() error {
	c.limiter.mu.Lock()
	delete(c.limiter.open, c)
	c.limiter.mu.Unlock()
	c.limiter.notify()
	return c.Conn.Close()
}

// CloseWrite sends FIN. net/http calls it after a complete response and then
// discards the rest of the request.
func (c *trackedConn) CloseWrite() error {
	c.setIdle(true)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// waits reports whether the server waits for the client. The caller holds
// limiter.mu.
func (c *trackedConn) waits() bool { return c.working == 0 && !c.evicted }

// evict closes the connection. The caller holds limiter.mu.
func (c *trackedConn) evict() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok && !c.idle {
		_ = tcp.SetLinger(0) // discard the unsent response, which would stay in kernel memory
	}
	c.evicted = true
	_ = c.Conn.Close() // the client gets no further data
}

// setIdle records whether the connection has a request.
func (c *trackedConn) setIdle(idle bool) {
	c.limiter.mu.Lock()
	c.idle, c.since = idle, time.Now()
	c.limiter.mu.Unlock()
	c.limiter.notify()
}

// addWorking changes the number of handlers that compute a response.
func (c *trackedConn) addWorking(n int) {
	c.limiter.mu.Lock()
	c.working += n
	c.since = time.Now()
	c.limiter.mu.Unlock()
	c.limiter.notify()
}

// grace returns the time that c may wait for its client while other connections
// wait for a place. limit is the period of connLimiter.graceFor.
func (c *trackedConn) grace(limit time.Duration) time.Duration {
	if c.idle && !(c.limiter.tls && c.receivedBytes) {
		return max(limit, minRequestGrace)
	}
	// With TLS this includes the handshake and idle connections. An HTTP/2 client
	// may still send frames about a response that it is reading. Closing a socket
	// with unread data resets the connection, and the client loses that response.
	return max(limit, minTransferGrace)
}

type trackedConnKey struct{}

func withTrackedConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, trackedConnKey{}, underlying(conn))
}

// trackedConnOf returns the connection of r, or nil if no connLimiter tracks it.
func trackedConnOf(r *http.Request) *trackedConn {
	c, _ := r.Context().Value(trackedConnKey{}).(*trackedConn)
	return c
}

// underlying returns the tracked connection below TLS, or nil if there is none.
func underlying(conn net.Conn) *trackedConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*trackedConn)
	return c
}

// trackHandler returns a handler that records when next works. The time of a write
// is not included, because a write can wait for the client: for socket buffer
// space, or for the flow control window of an HTTP/2 stream.
func trackHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := trackedConnOf(r)
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		c.addWorking(1)
		defer c.addWorking(-1)
		next.ServeHTTP(trackedWriter{w, c}, r)
	})
}

// beginTransfer records that a handler begins to write blocks, which stay in memory until
// endTransfer.
func (c *trackedConn) beginTransfer(blocks ...[]byte) *pendingBody {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	body := c.limiter.pending.add(c, blocks...)
	c.limiter.pending.evict(time.Now(), body)
	return body
}

// endTransfer records the end of a transfer.
func (c *trackedConn) endTransfer(body *pendingBody) {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.limiter.pending.finish(c, body)
}

// A trackedWriter is the response writer of a handler that works.
type trackedWriter struct {
	http.ResponseWriter
	conn *trackedConn
}

// maxWriteSize is the size of the parts of a response whose transfer [trackedWriter.Write] records.
const maxWriteSize = 64 << 10

// Write implements [io.Writer].
func (w trackedWriter) Write(p []byte) (written int, err error) {
	body := w.conn.beginTransfer(p)
	defer w.conn.endTransfer(body)
	w.conn.addWorking(-1)
	defer w.conn.addWorking(1)
	for {
		n, err := w.ResponseWriter.Write(p[:min(len(p), maxWriteSize)])
		written, p = written+n, p[n:]
		if err != nil || len(p) == 0 {
			return written, err
		}
		body.recordProgress()
	}
}

// FlushError sends what has been written. [http.ResponseController] calls it.
func (w trackedWriter) FlushError() error {
	w.conn.addWorking(-1)
	defer w.conn.addWorking(1)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap returns the writer for [http.ResponseController].
func (w trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
