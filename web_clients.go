package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// stalled is how long a client may take to fetch an answer while others wait
// for its place. One that reads at all has it sooner: the answer is complete
// when its first byte is sent.
const stalled = 100 * time.Millisecond

// A clientSet bounds how many clients are connected at a time, over all
// listeners. When there is no room for another, the one goes that has kept us
// waiting for the longest: first those without a request, then those that do
// not fetch their answer. Requests that are being worked on are never cut off;
// newcomers wait in the kernel's queue until one of them is done.
type clientSet struct {
	limit int
	freed chan struct{} // told, without waiting, whenever there may be room

	mu   sync.Mutex // guards open, and what every connection in it is doing
	open map[*client]struct{}
}

func newClientSet(limit int) *clientSet {
	return &clientSet{limit: limit, freed: make(chan struct{}, 1), open: make(map[*client]struct{})}
}

// A duty is what a connection does for its client.
type duty int

const (
	awaits  duty = iota // waits for a request
	works               // finds the answer
	answers             // sends it
)

// A client is the connection of one of a bounded number of clients.
type client struct {
	net.Conn
	set   *clientSet
	duty  duty
	since time.Time // when duty began
}

// Close closes the connection and makes room for another.
func (c *client) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	c.set.tell()
	return c.Conn.Close()
}

// begin says what c does from now on.
func (c *client) begin(d duty) {
	c.set.mu.Lock()
	c.duty, c.since = d, time.Now()
	c.set.mu.Unlock()
	if d != works {
		c.set.tell()
	}
}

func (s *clientSet) tell() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// admit takes c in if there is room, or makes room. It returns false while all
// others have a request that is being worked on.
func (s *clientSet) admit(c *client) bool {
	s.mu.Lock()
	var victim *client
	if len(s.open) >= s.limit {
		if victim = s.slowest(time.Now()); victim == nil {
			s.mu.Unlock()
			return false
		}
		delete(s.open, victim)
	}
	s.open[c] = struct{}{}
	s.mu.Unlock()
	if victim != nil {
		if tcp, ok := victim.Conn.(*net.TCPConn); ok && victim.duty == answers {
			_ = tcp.SetLinger(0) // an answer that nobody fetches must not stay in the kernel
		}
		_ = victim.Conn.Close() // it has nothing to say that anybody waits for
	}
	return true
}

// slowest returns the connection to give up, or nil.
func (s *clientSet) slowest(now time.Time) *client {
	var worst *client
	for c := range s.open {
		switch {
		case c.duty == works, c.duty == answers && now.Sub(c.since) < stalled:
		case worst == nil, c.duty < worst.duty, c.duty == worst.duty && c.since.Before(worst.since):
			worst = c
		}
	}
	return worst
}

// bind makes a server tell what its connections do.
func (s *clientSet) bind(server *http.Server) {
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		c := underlying(conn)
		switch {
		case c == nil:
		case state == http.StateIdle:
			c.begin(awaits)
		case state == http.StateActive:
			c.begin(works)
		}
	}
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, clientKey{}, underlying(conn))
	}
}

type clientKey struct{}

// underlying returns the connection below TLS, nil if it is none of ours.
func underlying(conn net.Conn) *client {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*client)
	return c
}

// beginAnswer says that the answer to a request is complete and only has to be
// fetched.
func beginAnswer(r *http.Request) {
	if c, _ := r.Context().Value(clientKey{}).(*client); c != nil {
		c.begin(answers)
	}
}

// A boundedListener accepts connections while there is room for them.
type boundedListener struct {
	net.Listener
	set    *clientSet
	closed chan struct{}
	once   sync.Once
}

func (s *clientSet) listener(l net.Listener) net.Listener {
	return &boundedListener{Listener: l, set: s, closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, set: l.set, since: time.Now()}
	for !l.set.admit(c) {
		retry := time.NewTimer(stalled / 2) // those that answer become stalled without telling
		select {
		case <-l.set.freed:
		case <-retry.C:
		case <-l.closed:
			retry.Stop()
			_ = conn.Close() // nobody has read from it
			return nil, net.ErrClosed
		}
		retry.Stop()
	}
	return c, nil
}

// Close implements [net.Listener].
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
