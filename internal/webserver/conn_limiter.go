package webserver

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxAcceptDelay is the time within which a connection in the accept queue
	// gets a place if no other connection closes by itself. It takes longer with
	// more than 6 queued connections per place, because of minRequestGrace. It is
	// also the longest grace period.
	maxAcceptDelay = 100 * time.Millisecond

	// minRequestGrace is the shortest time in which a client must begin its
	// request, and then complete it. A busy machine needs some of it to notice
	// that a request has arrived.
	minRequestGrace = 15 * time.Millisecond

	// minTransferGrace is the shortest time for a TLS round trip and for receiving
	// a response.
	minTransferGrace = 50 * time.Millisecond

	// evictionPoll is the interval at which a waiting connection looks for a
	// connection to evict, unless one is due earlier.
	evictionPoll = 50 * time.Millisecond

	// contentionWindow is the time after a connection found no place in which more
	// connections are assumed to wait in the accept queue of the kernel.
	contentionWindow = time.Second

	// drainGrace is the time in which a client must complete its request while the
	// server stops, and drainPoll the interval at which this is checked.
	drainGrace, drainPoll = 30 * time.Millisecond, 5 * time.Millisecond
)

// A connLimiter limits the number of open connections of all listeners. When the
// limit is reached, it evicts the connection that has waited for its client for
// the longest time beyond its grace period: first connections without a request,
// then connections whose client does not read the response. It never evicts a
// connection while a handler computes a response; new connections then wait in
// the accept queue. Under contention each connection is closed after one
// response, so that its client queues behind the others. LimitListener of
// golang.org/x/net/netutil has no eviction: clients that connect and send nothing
// would keep all places.
type connLimiter struct {
	limit          int
	tls            bool
	maxAcceptDelay time.Duration
	freed          chan struct{} // receives when a place may be free; capacity 1
	pacer          connPacer

	mu            sync.Mutex // guards the fields below and the state of each connection
	open          map[*trackedConn]struct{}
	pending       pendingBodies
	lastContended time.Time     // when a connection last found no place
	noPlace       chan struct{} // closed and replaced when a connection finds no place
}

func newConnLimiter(limit int, tls bool) *connLimiter {
	return &connLimiter{
		limit: limit, tls: tls, maxAcceptDelay: maxAcceptDelay,
		freed: make(chan struct{}, 1), open: make(map[*trackedConn]struct{}), pacer: newConnPacer(),
		pending: newPendingBodies(), noPlace: make(chan struct{}),
	}
}

// contended reports whether more connections probably wait for a place.
func (l *connLimiter) contended() bool {
	_, contended := l.contention()
	return contended
}

// contention reports whether more connections probably wait for a place, and returns a channel
// that is closed when the next connection finds none.
func (l *connLimiter) contention() (next <-chan struct{}, contended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noPlace, time.Since(l.lastContended) < contentionWindow
}

// notify wakes a waiting connection. It does not block.
func (l *connLimiter) notify() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// admit adds c if there is a place. Otherwise it evicts a connection if it can,
// and returns the time after which to retry. queued is the number of connections
// in the accept queue behind c.
func (l *connLimiter) admit(c *trackedConn, queued int) (retry time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) < l.limit {
		l.open[c] = struct{}{}
		return 0
	}
	l.lastContended = time.Now()
	close(l.noPlace)
	l.noPlace = make(chan struct{})
	victim, retry := l.evictionCandidate(l.lastContended, l.graceFor(queued))
	if victim == nil {
		return retry
	}
	victim.evict()
	return evictionPoll // or earlier, when the server goroutine of victim closes it
}

// closeWithoutRequest closes the connections that have no request for
// drainGrace, until done is closed.
func (l *connLimiter) closeWithoutRequest(done <-chan struct{}) {
	start := time.Now()
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			l.mu.Lock()
			for c := range l.open {
				if c.waits() && c.idle && now.Sub(start) >= drainGrace && now.Sub(c.since) >= drainGrace {
					c.evict()
				}
			}
			l.mu.Unlock()
		}
	}
}

// graceFor returns the time that a connection may wait for its client if all queued
// connections are to be admitted within maxAcceptDelay: in each period, every
// place can be freed once.
func (l *connLimiter) graceFor(queued int) time.Duration {
	return min(l.maxAcceptDelay, l.maxAcceptDelay*time.Duration(l.limit)/time.Duration(queued+1))
}

// evictionCandidate returns the connection to evict at now, or nil and the time
// after which to retry. The caller holds mu.
func (l *connLimiter) evictionCandidate(now time.Time, grace time.Duration) (worst *trackedConn, retry time.Duration) {
	retry = evictionPoll
	var unread map[*trackedConn]bool // connections with data that the server is about to read
	for {
		worst = nil
		for c := range l.open {
			if !c.waits() || unread[c] {
				continue
			}
			if remaining := c.grace(grace) - now.Sub(c.since); remaining > 0 {
				retry = min(retry, remaining)
				continue
			}
			if worst == nil || c.idle && !worst.idle || c.idle == worst.idle && c.since.Before(worst.since) {
				worst = c
			}
		}
		if worst == nil || !worst.idle || worst.receivedBytes || !hasReceivedBytes(worst.Conn) {
			return worst, retry
		}
		if unread == nil {
			unread = make(map[*trackedConn]bool)
		}
		unread[worst] = true
		retry = min(retry, time.Millisecond)
	}
}

// track returns the trackedConn of a new connection, which has no place yet.
func (l *connLimiter) track(conn net.Conn) *trackedConn {
	c := &trackedConn{Conn: conn, limiter: l, idle: true, since: time.Now()}
	if l.tls {
		c.reads = rate.NewLimiter(connReadRate, connReadBurst)
	}
	return c
}

// A limitedListener accepts a connection when its connLimiter has a place for it.
type limitedListener struct {
	net.Listener
	limiter *connLimiter
	closed  chan struct{}
	once    sync.Once // closes closed
}

func (l *connLimiter) listener(inner net.Listener) net.Listener {
	return &limitedListener{Listener: inner, limiter: l, closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(-1) // an earlier process can have set it on a listener of systemd: responses would be lost
	}
	c := l.limiter.track(conn)
	for {
		retry := l.limiter.admit(c, acceptQueueLength(l.Listener))
		if retry <= 0 {
			return c, nil
		}
		timer := time.NewTimer(retry)
		select {
		case <-l.limiter.freed:
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			_ = conn.Close() // not read from
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// Close implements [net.Listener].
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// bind makes server report to l when its connections have a request and when its
// handler works.
func (l *connLimiter) bind(server *http.Server) {
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		c := underlying(conn)
		if c != nil && (state == http.StateIdle || state == http.StateActive) {
			c.setIdle(state == http.StateIdle)
		}
	}
	server.ConnContext = withTrackedConn
	server.Handler = trackHandler(server.Handler)
}
