package webserver

import (
	"net"
	"testing"
	"time"
)

func TestEvictionCandidate(t *testing.T) {
	now := time.Now()
	const grace = 100 * time.Millisecond
	tests := []struct {
		name string
		open []trackedConn
		want int // index in open, -1 for none
	}{
		{"all processing", []trackedConn{{state: processing}, {state: processing}}, -1},
		{"idle", []trackedConn{{state: processing}, {since: now.Add(-time.Second), served: true}}, 1},
		{
			"longest idle",
			[]trackedConn{{served: true, since: now}, {served: true, since: now.Add(-time.Minute)}, {since: now.Add(-time.Second)}},
			1,
		},
		{"idle before sending", []trackedConn{{state: sendingResponse, since: now.Add(-time.Hour)}, {served: true, since: now}}, 1},
		{"does not read its response", []trackedConn{{state: processing}, {state: sendingResponse, since: now.Add(-time.Second)}}, 1},
		{"reads its response", []trackedConn{{state: sendingResponse, since: now.Add(-grace / 2)}}, -1},
		{"new", []trackedConn{{since: now.Add(-grace / 2)}}, -1},
		{"no request", []trackedConn{{since: now.Add(-time.Second)}}, 0},
		{"incomplete request", []trackedConn{{receivedBytes: true, since: now.Add(-time.Second)}}, 0},
		{"evicted already", []trackedConn{{state: evicted}}, -1},
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
		conn trackedConn
		want time.Duration
	}{
		{"new", false, trackedConn{}, minRequestGrace},
		{"incomplete request", false, trackedConn{receivedBytes: true}, minRequestGrace},
		{"idle", false, trackedConn{receivedBytes: true, served: true}, 0},
		{"sending", false, trackedConn{receivedBytes: true, served: true, state: sendingResponse}, minTransferGrace},
		{"TLS new", true, trackedConn{}, minRequestGrace},
		{"TLS handshake", true, trackedConn{receivedBytes: true}, minTransferGrace},
		{"TLS idle", true, trackedConn{receivedBytes: true, served: true}, minRequestGrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &tt.conn
			c.limiter = newConnLimiter(1, tt.tls)
			if got := c.grace(time.Microsecond); got != tt.want {
				t.Errorf("got %v with a long queue, want %v", got, tt.want)
			}
			want := time.Second
			if tt.want == 0 {
				want = 0
			}
			if got := c.grace(time.Second); got != want {
				t.Errorf("got %v with a short queue, want %v", got, want)
			}
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	if got := connectionLimit(1); got != 1 {
		t.Errorf("got a limit of %d connections, want 1", got)
	}
}
