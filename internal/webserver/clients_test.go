package webserver

import (
	"net"
	"testing"
	"time"
)

// TestSlowestClient decides who has to go.
func TestSlowestClient(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name   string
		open   []client
		victim int // index in open, -1 for none
	}{
		{"all work", []client{{duty: works}, {duty: works}}, -1},
		{"the one that is idle", []client{{duty: works}, {duty: awaits, since: now.Add(-time.Second), served: true}}, 1},
		{"the oldest of the idle", []client{{served: true, since: now}, {served: true, since: now.Add(-time.Minute)}, {since: now.Add(-time.Second)}}, 1},
		{"idle before answering", []client{{duty: answers, since: now.Add(-time.Hour)}, {served: true, since: now}}, 1},
		{"does not fetch its answer", []client{{duty: works}, {duty: answers, since: now.Add(-time.Second)}}, 1},
		{"is fetching its answer", []client{{duty: answers, since: now}}, -1},
		{"has only just come", []client{{since: now}}, -1},
		{"has not begun", []client{{since: now.Add(-time.Second)}}, 0},
		{"has not completed", []client{{spoke: true, since: now.Add(-time.Second)}}, 0},
		{"is leaving", []client{{duty: leaves}}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newClientSet(1, false)
			at := make(map[*client]int)
			for i := range tt.open {
				c := &tt.open[i]
				c.set = s
				c.Conn, _ = net.Pipe()
				s.open[c] = struct{}{}
				at[c] = i
			}
			got := -1
			victim, retry := s.slowest(now)
			if victim != nil {
				got = at[victim]
			}
			if got != tt.victim || got == -1 && (retry <= 0 || retry > stalled) {
				t.Errorf("got client %d and retry after %v, want client %d", got, retry, tt.victim)
			}
		})
	}
}

// TestHandshakeHasTime holds that over TLS a client may take a way to the server and
// back to begin its request, and is not cut off while it may be about to say what
// HTTP/2 has it say after an answer.
func TestHandshakeHasTime(t *testing.T) {
	c := &client{set: newClientSet(1, true), spoke: true}
	if c.patience() != stalled {
		t.Errorf("got %v", c.patience())
	}
	if c.served = true; c.patience() != greeting {
		t.Errorf("got %v after an answer", c.patience())
	}
}

func TestAffordableConnections(t *testing.T) {
	if got := affordableConnections(1); got != 1 {
		t.Errorf("got room for %d connections, want 1", got)
	}
}
