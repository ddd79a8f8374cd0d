package grouping

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// modelSockets is the Reader of the sockets of a modelWorld.
type modelSockets struct {
	exited   []*modelProcess // whose sockets may still close
	pending  map[platform.ID]sockets.Process
	unknown  sockets.Traffic // of no process
	fails    bool
	reads    int
	reported uint64 // bytes sent in all Reports but the first
}

// apply makes an event happen that concerns the next Report.
func (s *modelSockets) apply(e modelEvent, p *modelProcess) {
	switch e.kind {
	case eventTrafficAfterExit:
		if len(s.exited) == 0 {
			return
		}
		p = s.exited[len(s.exited)-1-int(e.a)%len(s.exited)%8]
		fallthrough
	case eventTraffic:
		s.change(p, func(r *sockets.Process) {
			r.Traffic.SentBytes += uint64(e.b) + 1
			r.Traffic.ReceivedBytes += 2
			r.Traffic.RoundTrips = append(r.Traffic.RoundTrips, uint32(e.b)*100)
		})
	case eventFailedRead:
		s.fails = true
	case eventUnreadable:
		s.change(p, func(r *sockets.Process) { r.Unreadable = true })
	case eventTrafficUnknown:
		s.unknown.SentBytes += uint64(e.b)
	}
}

// change changes what the next Report has of a process.
func (s *modelSockets) change(p *modelProcess, f func(*sockets.Process)) {
	if s.pending == nil {
		s.pending = make(map[platform.ID]sockets.Process)
	}
	id := withoutSerial(p.ID)
	r := s.pending[id]
	r.PID, r.Start = p.PID, p.Start
	f(&r)
	s.pending[id] = r
}

func (s *modelSockets) Read(_ context.Context, r *sockets.Report) error {
	if s.fails {
		s.fails = false
		return errModel
	}
	*r = sockets.Report{Parts: sockets.PartOpen | sockets.PartTraffic, Unattributed: s.unknown}
	sent := s.unknown.SentBytes
	for _, p := range s.pending {
		r.Processes = append(r.Processes, p)
		sent += p.Traffic.SentBytes
	}
	slices.SortFunc(r.Processes, func(a, b sockets.Process) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Start, b.Start))
	})
	if s.reads++; s.reads > 1 {
		s.reported += sent
	}
	s.pending, s.unknown = nil, sockets.Traffic{}
	return nil
}

func (s *modelSockets) Kind() (platform.SourceKind, error) { return platform.SourceBPF, nil }

func (s *modelSockets) Close() error { return nil }

// checkSockets checks that all traffic is in a group, unattributed or waiting, that no counter
// falls, and that traffic waits only for processes that may join a group.
func (m *model) checkSockets(groups []Group) error {
	t, net := m.ledger.Tracker, &m.world.net
	if t.sockets.reader == nil {
		return nil
	}
	for _, g := range t.groups {
		m.seen[g] = true
	}
	sum := t.SocketStatus().Unattributed.SentBytes
	if sum < m.unattributed {
		return fmt.Errorf("got %d unattributed bytes after %d", sum, m.unattributed)
	}
	m.unattributed = sum
	for g := range m.seen {
		if g.mergedInto == nil {
			sum += g.sockets.SentBytes
		}
	}
	for id, w := range t.sockets.waiting {
		sum += w.SentBytes
		if at := t.snap.Index(id.PID); at >= 0 && t.records[at].id.Start == id.Start && t.records[at].group != nil {
			return fmt.Errorf("traffic of %v waits although the process is in a group", id)
		}
		if w.unknown > maxUnknownUpdates {
			return fmt.Errorf("traffic of %v waits for %d updates", id, w.unknown)
		}
	}
	// A group can be created and removed in one update.
	if sum > net.reported || sum < net.reported && !t.opts.RemoveEmpty {
		return fmt.Errorf("got %d bytes in groups, unattributed and waiting, want %d", sum, net.reported)
	}
	return m.checkGroupSockets(groups)
}

// checkGroupSockets checks that no counter of a group falls, and its round-trip times.
func (m *model) checkGroupSockets(groups []Group) error {
	t := m.ledger.Tracker
	now := make(map[string]uint64)
	for i := range groups {
		now[groups[i].Name] += groups[i].Sockets.Traffic.SentBytes
		if v := &groups[i].Sockets; t.sockets.read && !v.HasTraffic {
			return fmt.Errorf("group %s: got no traffic", groups[i].Name)
		}
		var observed uint64
		for _, b := range groups[i].Sockets.RoundTrips.Buckets {
			observed += b.Count
		}
		if h := groups[i].Sockets.RoundTrips; h.Count != observed || h.Count*2 != groups[i].Sockets.Traffic.ReceivedBytes {
			return fmt.Errorf("group %s: got %d round-trip times, %d in buckets, want %d",
				groups[i].Name, h.Count, observed, groups[i].Sockets.Traffic.ReceivedBytes/2)
		}
	}
	for name, sent := range now {
		if sent < m.traffic[name] {
			return fmt.Errorf("group %s: got %d sent bytes after %d", name, sent, m.traffic[name])
		}
	}
	m.traffic = now
	return nil
}
