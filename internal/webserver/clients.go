package webserver

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
const stalled = 50 * time.Millisecond

// greeting is how long a new client may take to begin its request, and then to
// complete it, while others wait for its place. It is short, for it bounds how
// many come in a second, but no shorter than a busy scheduler keeps us from
// noticing.
const greeting = 15 * time.Millisecond

// crowdLasts is how long there is a crowd after a client has found no room. Others may
// wait in the kernel's queue meanwhile, where nobody sees them.
const crowdLasts = time.Second

// A clientSet bounds how many clients are connected at a time, over all
// listeners. When there is no room for another, the one goes that has kept us
// waiting for the longest: first those without a request, then those that do
// not fetch their answer. Requests that are being worked on are never cut off;
// newcomers wait in the kernel's queue until one of them is done. While there is a
// crowd, an answer is the last that its connection has: who asks again does so behind
// those who wait.
type clientSet struct {
	limit  int
	secure bool          // clients begin with a TLS handshake
	freed  chan struct{} // told, without waiting, whenever there may be room

	mu     sync.Mutex // guards open, what every connection in it is doing, and fullAt
	open   map[*client]struct{}
	fullAt time.Time // when a client last found no room
}

func newClientSet(limit int, secure bool) *clientSet {
	return &clientSet{limit: limit, secure: secure, freed: make(chan struct{}, 1), open: make(map[*client]struct{})}
}

// A duty is what a connection does for its client.
type duty int

const (
	awaits  duty = iota // waits for a request
	works               // finds the answer
	answers             // sends it
	leaves              // has been given up, but its file is still open
)

// A client is the connection of one of a bounded number of clients.
type client struct {
	net.Conn
	heard  bool // as spoke, for the one that reads
	set    *clientSet
	duty   duty
	since  time.Time // when duty began
	spoke  bool      // the server has read something from it
	served bool      // it has made a request before
}

// Read takes down that the client has begun to speak.
func (c *client) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard {
		c.heard = true
		c.set.mu.Lock()
		c.spoke, c.since = true, time.Now()
		c.set.mu.Unlock()
	}
	return n, err
}

// Write says that the client has an answer to fetch for as long as the kernel does
// not take it, whatever it is an answer to.
func (c *client) Write(p []byte) (int, error) {
	worked := c.turn(works, answers)
	n, err := c.Conn.Write(p)
	if worked {
		c.turn(answers, works)
	}
	return n, err
}

// turn says that c does something else from now on, if it did what is expected.
func (c *client) turn(from, to duty) bool {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if c.duty != from {
		return false
	}
	c.duty, c.since = to, time.Now()
	return true
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
	if c.duty != leaves {
		c.duty, c.since = d, time.Now()
	}
	c.served = true
	c.set.mu.Unlock()
	if d != works {
		c.set.tell()
	}
}

// crowded reports whether others are likely to wait for a place.
func (s *clientSet) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.fullAt) < crowdLasts
}

func (s *clientSet) tell() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// admit takes c in if there is room, or makes room. Otherwise it returns after
// what time, if not before, there may be some.
func (s *clientSet) admit(c *client) (retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.limit {
		s.fullAt = time.Now()
		victim, retry := s.slowest(s.fullAt)
		if victim == nil {
			return retry
		}
		if tcp, ok := victim.Conn.(*net.TCPConn); ok && victim.duty == answers {
			_ = tcp.SetLinger(0) // an answer that nobody fetches must not stay in the kernel
		}
		victim.duty = leaves
		_ = victim.Conn.Close() // it has nothing to say that anybody waits for
		return stalled          // or as soon as its server has noticed
	}
	s.open[c] = struct{}{}
	return 0
}

// slowest returns the connection to give up. If there is none, it returns after
// what time there may be.
func (s *clientSet) slowest(now time.Time) (worst *client, retry time.Duration) {
	retry = stalled
	var unheard map[*client]bool // that have sent what the server is about to read
	for {
		worst = nil
		for c := range s.open {
			if c.duty == works || c.duty == leaves || unheard[c] {
				continue
			}
			if early := c.patience() - now.Sub(c.since); early > 0 {
				retry = min(retry, early)
				continue
			}
			if worst == nil || c.duty < worst.duty || c.duty == worst.duty && c.since.Before(worst.since) {
				worst = c
			}
		}
		if worst == nil || worst.duty != awaits || worst.spoke || !heardFrom(worst.Conn) {
			return worst, retry
		}
		if unheard == nil {
			unheard = make(map[*client]bool)
		}
		unheard[worst] = true
		retry = min(retry, time.Millisecond)
	}
}

// patience returns how long c may do what it does before it is given up.
func (c *client) patience() time.Duration {
	switch {
	case c.duty == answers:
		return stalled
	case c.spoke && c.set.secure && !c.served:
		return stalled // the answer to our part of a handshake has a way to go
	case c.served && c.set.secure:
		// With HTTP/2 the client may have something to say while it fetches its
		// answer. Whoever hangs up without hearing that takes back the answer.
		return greeting
	case c.served:
		return 0
	}
	return greeting
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

// clientOf returns the connection that r came over, nil if it is none of ours.
func clientOf(r *http.Request) *client {
	c, _ := r.Context().Value(clientKey{}).(*client)
	return c
}

// underlying returns the connection below TLS, nil if it is none of ours.
func underlying(conn net.Conn) *client {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*client)
	return c
}

// sending runs send, which sends a complete answer, and says that the client
// has nothing more to wait for when the kernel has all of it. To hang up from
// then on cuts nothing off.
func sending(w http.ResponseWriter, r *http.Request, send func()) {
	c := clientOf(r)
	if c == nil {
		send()
		return
	}
	c.begin(answers)
	send()
	if http.NewResponseController(w).Flush() == nil {
		c.begin(awaits)
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
	for retry := l.set.admit(c); retry > 0; retry = l.set.admit(c) {
		timer := time.NewTimer(retry)
		select {
		case <-l.set.freed:
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			_ = conn.Close() // nobody has read from it
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
	return c, nil
}

// Close implements [net.Listener].
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
