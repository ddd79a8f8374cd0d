package webserver

import (
	"net"
	"testing"
	"time"
)

func TestEvictionCandidate(t *testing.T) {
	now := time.Now()
	const grace = 100 * time.Millisecond
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	tests := []struct {
		name string
		open []trackedConn
		want int // index in open, -1 for none
	}{
		{"all working", []trackedConn{{working: 1}, {working: 2}}, -1},
		{"idle", []trackedConn{{working: 1}, {idle: true, since: ago(time.Second)}}, 1},
		{
			"longest idle",
			[]trackedConn{{idle: true, since: now}, {idle: true, since: ago(time.Minute)}, {idle: true, since: ago(time.Second)}},
			1,
		},
		{"idle before sending", []trackedConn{{since: ago(time.Hour)}, {idle: true, since: ago(time.Second)}}, 1},
		{"does not read its response", []trackedConn{{working: 1}, {since: ago(time.Second)}}, 1},
		{"one of two streams works", []trackedConn{{working: 1, since: ago(time.Second)}}, -1},
		{"reads its response", []trackedConn{{since: ago(grace / 2)}}, -1},
		{"new", []trackedConn{{idle: true, since: ago(grace / 2)}}, -1},
		{"no request", []trackedConn{{idle: true, since: ago(time.Second)}}, 0},
		{"incomplete request", []trackedConn{{idle: true, receivedBytes: true, since: ago(time.Second)}}, 0},
		{"evicted already", []trackedConn{{evicted: true}}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newConnLimiter(1, false)
			index := make(map[*trackedConn]int)
			for i := range tt.open {
				c := &tt.open[i]
				c.limiter = l
				c.Conn, _ = net.Pipe()
				l.open[c] = struct{}{}
				index[c] = i
			}
			got := -1
			victim, retry := l.evictionCandidate(now, grace)
			if victim != nil {
				got = index[victim]
			}
			if got != tt.want || got == -1 && (retry <= 0 || retry > evictionPoll) {
				t.Errorf("got connection %d and retry after %v, want connection %d", got, retry, tt.want)
			}
		})
	}
}

// TestGraceFor requires that a long accept queue shortens the grace period, so
// that the queue is emptied within maxAcceptDelay.
func TestGraceFor(t *testing.T) {
	tests := []struct {
		limit, queued int
		want          time.Duration
	}{
		{1, 0, 100 * time.Millisecond},
		{1, 4, 20 * time.Millisecond},
		{2, 4, 40 * time.Millisecond},
		{128, 0, 100 * time.Millisecond},
		{128, 127, 100 * time.Millisecond},
		{128, 255, 50 * time.Millisecond},
		{128, 4095, 3125 * time.Microsecond},
	}
	for _, tt := range tests {
		if got := newConnLimiter(tt.limit, false).graceFor(tt.queued); got != tt.want {
			t.Errorf("limit %d, %d queued: got %v, want %v", tt.limit, tt.queued, got, tt.want)
		}
	}
}

// TestGraceByState requires the minimum grace periods. With TLS a client has time
// for the handshake, and an idle HTTP/2 connection is not closed while its client
// may still send frames about a response.
func TestGraceByState(t *testing.T) {
	tests := []struct {
		name string
		tls  bool
		conn *trackedConn
		want time.Duration
	}{
		{"new", false, &trackedConn{idle: true}, minRequestGrace},
		{"idle", false, &trackedConn{idle: true, receivedBytes: true}, minRequestGrace},
		{"sending", false, &trackedConn{receivedBytes: true}, minTransferGrace},
		{"TLS new", true, &trackedConn{idle: true}, minRequestGrace},
		{"TLS idle or in the handshake", true, &trackedConn{idle: true, receivedBytes: true}, minTransferGrace},
		{"TLS sending", true, &trackedConn{receivedBytes: true}, minTransferGrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.conn
			c.limiter = newConnLimiter(1, tt.tls)
			if got := c.grace(time.Microsecond); got != tt.want {
				t.Errorf("got %v with a long queue, want %v", got, tt.want)
			}
			if got := c.grace(time.Second); got != time.Second {
				t.Errorf("got %v with a short queue, want 1s", got)
			}
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	if got := limitByOpenFiles(1); got != 1 {
		t.Errorf("got a limit of %d connections, want 1", got)
	}
}
