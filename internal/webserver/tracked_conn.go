package webserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// A connState is the state of a connection. Among connections to evict, lower
// states go first.
type connState int

const (
	awaitingRequest connState = iota
	processing
	sendingResponse
	evicted // closed by the connLimiter; its server goroutine has not noticed yet
)

// A trackedConn is a connection of a connLimiter. It records when the connection
// entered its state.
type trackedConn struct {
	net.Conn
	limiter *connLimiter
	hasRead bool // as receivedBytes; used only by the reading goroutine, without the lock

	// limiter.mu guards the fields below.
	state         connState
	since         time.Time // when the connection entered state, or received its first bytes
	receivedBytes bool      // the server has read from the connection
	served        bool      // the connection has had a request
}

// Read implements [net.Conn]. It records the first bytes.
func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.hasRead {
		c.hasRead = true
		c.limiter.mu.Lock()
		c.receivedBytes, c.since = true, time.Now()
		c.limiter.mu.Unlock()
	}
	return n, err
}

// Write implements [net.Conn]. While it blocks, the connection is in state
// sendingResponse, whichever handler writes.
func (c *trackedConn) Write(p []byte) (int, error) {
	changed := c.changeState(processing, sendingResponse)
	n, err := c.Conn.Write(p)
	if changed {
		c.changeState(sendingResponse, processing)
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

// changeState changes the state from one to another. It returns false if the
// connection is in a third state.
func (c *trackedConn) changeState(from, to connState) bool {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.state != from {
		return false
	}
	c.state, c.since = to, time.Now()
	return true
}

// setState sets the state unless the connection is evicted.
func (c *trackedConn) setState(state connState) {
	c.limiter.mu.Lock()
	if c.state != evicted {
		c.state, c.since = state, time.Now()
	}
	c.served = true
	c.limiter.mu.Unlock()
	if state != processing {
		c.limiter.notify()
	}
}

// grace returns the time that c may stay in its state while other connections
// wait for a place. limit is the period of connLimiter.graceFor.
func (c *trackedConn) grace(limit time.Duration) time.Duration {
	switch {
	case c.state == sendingResponse:
		return max(limit, minTransferGrace)
	case c.receivedBytes && c.limiter.tls && !c.served:
		return max(limit, minTransferGrace) // a TLS handshake takes a round trip
	case c.served && !c.limiter.tls:
		return 0 // idle between requests
	}
	// This includes idle HTTP/2 connections: the client may still send frames about
	// a response that it is reading. Closing a socket with unread data resets the
	// connection, and the client loses that response.
	return max(limit, minRequestGrace)
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

// trackSend calls send, which writes a complete response to w. The connection is
// in state sendingResponse until the kernel has accepted all of it. Closing the
// connection after that loses no data.
func trackSend(w http.ResponseWriter, r *http.Request, send func()) {
	c := trackedConnOf(r)
	if c == nil {
		send()
		return
	}
	c.setState(sendingResponse)
	send()
	if http.NewResponseController(w).Flush() == nil {
		c.setState(awaitingRequest)
	}
}
