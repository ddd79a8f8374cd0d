//go:build amd64 || arm64

package sockets

import "github.com/seed57308aee/process_exporter/platform/bpf"

// A socketKey identifies a socket: a TCP connection or listening socket by the ID that the
// programs give it, every other socket by its inode number.
type socketKey struct {
	number uint64
	byID   bool
}

func keyOf(s *bpf.Socket) socketKey {
	if s.Id != 0 {
		return socketKey{s.Id, true}
	}
	return socketKey{s.Inode, false}
}

// A socket is what the table knows about a socket that was open in a scan.
type socket struct {
	key      socketKey
	owner    owner
	first    owner              // in the current scan, the process with the lowest PID that has it open
	scan     uint64             // number of the last scan that found it
	owned    bool               // in the current scan, owner has it open
	last     bpf.Socket         // its last record
	reported bpf.SocketCounters // the part of last.Counters that a Report contains
}

// A table holds the sockets that were open in the last complete scan, and the sockets that
// closed since and whose last counters are not known yet.
type table struct {
	sockets   []socket
	index     map[socketKey]int32
	free      []int32
	scan      uint64 // number of scans
	scanned   bool   // a scan was complete, also if there were no sockets
	completed uint64 // bpf.Socket.Scan of the last complete scan with sockets
	current   uint64 // bpf.Socket.Scan of this scan
	removed   socket
}

func newTable() table { return table{index: make(map[socketKey]int32)} }

// remove removes a connection. It returns nil if the table does not have it. The result is
// valid until the next call.
func (t *table) remove(id uint64) *socket {
	i, found := t.index[socketKey{id, true}]
	if !found {
		return nil
	}
	t.removed = t.sockets[i]
	t.drop(i)
	return &t.removed
}

func (t *table) drop(i int32) {
	delete(t.index, t.sockets[i].key)
	t.sockets[i] = socket{}
	t.free = append(t.free, i)
}

func (t *table) beginScan() { t.scan++ }

// add adds a record of the current scan.
func (t *table) add(r *bpf.Socket) {
	t.current = r.Scan
	key, process := keyOf(r), owner{r.Pid, r.Start}
	i, found := t.index[key]
	if !found {
		i = t.insert(socket{key: key, owner: process, last: *r, reported: t.baseline(r)})
	}
	s := &t.sockets[i]
	if s.scan != t.scan {
		s.scan, s.first, s.owned = t.scan, process, false
	}
	s.owned = s.owned || s.owner == process
	s.last = *r
}

func (t *table) insert(s socket) int32 {
	i := int32(len(t.sockets))
	if last := len(t.free) - 1; last >= 0 {
		i, t.free = t.free[last], t.free[:last]
		t.sockets[i] = s
	} else {
		t.sockets = append(t.sockets, s)
	}
	t.index[s.key] = i
	return i
}

// baseline returns the counters of a new socket of the table that no Report will contain: those
// from before the first scan, and those of a connection that the table has dropped.
func (t *table) baseline(r *bpf.Socket) bpf.SocketCounters {
	switch {
	case r.Id != 0 && r.Flags&bpf.SocketCreated != 0 && r.FirstScan > t.completed:
		return bpf.SocketCounters{}
	case r.Type == bpf.SocketUDP && t.scanned:
		return bpf.SocketCounters{}
	}
	return r.Counters
}

// maxClosing limits the number of connections that no process has open and that have not ended
// yet. Their number grows when their last counters are lost.
const maxClosing = 1 << 15

// endScan adds the open sockets, and their traffic since the last Report, to the accounts of
// their owners. It drops the sockets that the scan did not find.
func (t *table) endScan(a *accounts) {
	t.scanned, t.completed = true, t.current
	closing := 0
	for i := range t.sockets {
		s := &t.sockets[i]
		switch {
		case s.key.number == 0: // free
		case s.scan == t.scan:
			s.report(a, t.scan)
		case s.key.byID && s.last.Type != 0 && closing < maxClosing:
			closing++
		default:
			t.drop(int32(i))
		}
	}
}

// abortScan replaces endScan after a scan that did not reach all sockets. It drops no socket, and
// reports the last values of sockets that the scan did not reach.
func (t *table) abortScan(a *accounts) {
	for i := range t.sockets {
		if s := &t.sockets[i]; s.key.number != 0 {
			s.report(a, t.scan)
		}
	}
}

// report adds a socket to the account of its owner. If the owner has closed the socket, and this
// scan has found it in other processes, the first of them becomes the owner.
func (s *socket) report(a *accounts, scan uint64) {
	if s.scan == scan && !s.owned {
		s.owner = s.first
	}
	c, r := a.of(s.owner), &s.last
	if r.Type == bpf.SocketUDP {
		c.traffic.UDPDrops += uint64(max(r.Counters.Drops, s.reported.Drops) - s.reported.Drops)
	} else {
		addTraffic(&c.traffic, &s.reported, &r.Counters, uint32(r.Flags))
	}
	s.reported = maxCounters(&s.reported, &r.Counters)
	c.open.add(r)
}

// maxCounters returns the higher value of each counter.
func maxCounters(x, y *bpf.SocketCounters) bpf.SocketCounters {
	return bpf.SocketCounters{
		Sent: max(x.Sent, y.Sent), Received: max(x.Received, y.Received), Retransmitted: max(x.Retransmitted, y.Retransmitted),
		Segments: laterSegments(x.Segments, y.Segments), Drops: max(x.Drops, y.Drops), Established: max(x.Established, y.Established),
		Error: max(x.Error, y.Error),
	}
}

// add adds an open socket.
func (o *OpenSockets) add(r *bpf.Socket) {
	switch r.Type {
	case bpf.SocketUnix:
		o.Unix++
	case bpf.SocketUDP:
		o.UDP++
		o.UDPReceiveQueueBytes += uint64(r.ReceiveQueue)
		o.UDPSendQueueBytes += uint64(r.SendQueue)
		if r.Port != 0 && r.Connected == 0 {
			o.Listeners = append(o.Listeners, Listener{Protocol: UDP, Port: r.Port})
		}
	case bpf.SocketTCP, bpf.SocketMPTCP, bpf.SocketSubflow:
		if r.Type != bpf.SocketSubflow && int(r.State) < NumStates {
			o.Connections[r.State]++
		}
		if r.Type != bpf.SocketMPTCP && State(r.State) == StateListen { // MPTCP listens on a subflow
			o.Listeners = append(o.Listeners, Listener{Protocol: TCP, Port: r.Port, AcceptQueue: r.ReceiveQueue, Backlog: r.SendQueue})
		}
	}
}
