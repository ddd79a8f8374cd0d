package grouping

import (
	"context"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sockets"
)

// A SocketStatus is the state of the reader of sockets, and the traffic that belongs to no group.
type SocketStatus struct {
	Kind         platform.SourceKind // what the last Read used; "" without a reader
	Unattributed sockets.Traffic     // traffic that belongs to no group, since the start; its RoundTrips is nil
	HasTraffic   bool                // the reader has reported Traffic at least once
	LostSockets  uint64              // see [sockets.Report]
	ReadErrors   uint64              // failed Reads
}

// A socketTracker is the state of the Tracker about sockets.
type socketTracker struct {
	reader      sockets.Reader // nil without sockets
	report      sockets.Report
	read        bool // this update has read report
	hasBaseline bool // a Report with Traffic was read; only the Traffic of later Reports counts

	status  SocketStatus
	waiting map[platform.ID]*waitingTraffic // by process, without Serial
	exited  exitedOwners
}

// A trafficTotal is a sum of Traffic.
type trafficTotal struct {
	sockets.Traffic // RoundTrips is nil
	roundTrips      Histogram
}

// A waitingTraffic is the traffic of a process that may still join a group.
type waitingTraffic struct {
	trafficTotal
	unknown int // updates in which the process was unknown
}

// maxUnknownUpdates is the number of updates for which the traffic of an unknown process
// waits. The Reader finds processes that start after the walk. The next walk finds them
// too, or the next update has their exit event.
const maxUnknownUpdates = 2

// readSockets reads the sockets of all processes, in at most half of the time until the
// deadline. It runs after the walk, so that the traffic of a process before its exit is known
// when its exit event is accounted.
func (t *Tracker) readSockets(ctx context.Context) {
	k := &t.sockets
	if k.reader == nil {
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/2))
		defer cancel()
	}
	k.read = k.reader.Read(ctx, &k.report) == nil
	if k.read {
		k.status.LostSockets = k.report.LostSockets
	} else {
		k.status.ReadErrors++
	}
	k.status.Kind, _ = k.reader.Kind()
}

// SocketsKind returns what the last Read of sockets used, and the reason for a fallback to /proc,
// see [sockets.Reader]. Without a reader, kind is "".
func (t *Tracker) SocketsKind() (kind platform.SourceKind, reason error) {
	if t.sockets.reader == nil {
		return "", nil
	}
	return t.sockets.reader.Kind()
}

// SocketStatus returns the state of the reader of sockets as of the last Update.
func (t *Tracker) SocketStatus() SocketStatus { return t.sockets.status }

// accountSockets adds the Traffic of the Report to groups. The traffic of a process that may
// still join a group waits. All other traffic is unattributed, so that the sum of groups and
// unattributed traffic is the traffic of the machine. The first Report covers the time before
// the first update, and does not count.
func (t *Tracker) accountSockets() {
	k := &t.sockets
	counted := k.read && k.report.Parts&sockets.PartTraffic != 0
	for _, g := range t.groups {
		g.sockets.beginUpdate()
		g.sockets.hasTraffic, g.sockets.trafficRead = g.sockets.hasTraffic || counted, counted
	}
	if counted {
		k.status.HasTraffic = true
		t.accountReport()
	}
	t.flushWaiting()
	k.exited.removeOld(&t.snap)
}

// accountReport adds the Traffic of the Report, unless it is the first one.
func (t *Tracker) accountReport() {
	k := &t.sockets
	if !k.hasBaseline {
		k.hasBaseline = true
		return
	}
	addTraffic(&k.status.Unattributed, &k.report.Unattributed)
	cursor := recordCursor{t: t}
	for i := range k.report.Processes {
		if p := &k.report.Processes[i]; anyTraffic(&p.Traffic) {
			t.accountTraffic(p, cursor.find(p))
		}
	}
}

// A recordCursor finds the records of processes that ascend by PID.
type recordCursor struct {
	t  *Tracker
	at int
}

// find returns the index of the record of a live process, or -1.
func (c *recordCursor) find(p *sockets.Process) int {
	records := c.t.records
	for c.at < len(records) && records[c.at].id.PID < p.PID {
		c.at++
	}
	if c.at == len(records) || records[c.at].id.PID != p.PID || records[c.at].id.Start != p.Start {
		return -1
	}
	return c.at
}

// accountTraffic adds the Traffic of a process whose record has index at, or -1 if the
// process is not live.
func (t *Tracker) accountTraffic(p *sockets.Process, at int) {
	id := platform.ID{PID: p.PID, Start: p.Start}
	if w := t.sockets.waiting[id]; w != nil { // flushWaiting decides
		w.addReported(&p.Traffic)
		return
	}
	owner, group := t.socketOwner(id, at)
	switch {
	case owner == ownerGroup:
		group.sockets.addReported(&p.Traffic)
	case owner == ownerNone:
		addTraffic(&t.sockets.status.Unattributed, &p.Traffic)
	default:
		if t.sockets.waiting == nil {
			t.sockets.waiting = make(map[platform.ID]*waitingTraffic)
		}
		w := new(waitingTraffic)
		w.addReported(&p.Traffic)
		t.sockets.waiting[id] = w
	}
}

// flushWaiting adds the traffic of the waiting processes that are in a group now, or that
// will not join one.
func (t *Tracker) flushWaiting() {
	for id, w := range t.sockets.waiting {
		at := t.snap.Index(id.PID)
		if at >= 0 && t.records[at].id.Start != id.Start {
			at = -1
		}
		owner, group := t.socketOwner(id, at)
		switch owner {
		case ownerUndecided:
			w.unknown = 0
			continue
		case ownerUnknown:
			if w.unknown++; w.unknown <= maxUnknownUpdates {
				continue
			}
		case ownerGroup:
			group.sockets.add(&w.trafficTotal)
			delete(t.sockets.waiting, id)
			continue
		}
		addTraffic(&t.sockets.status.Unattributed, &w.Traffic)
		delete(t.sockets.waiting, id)
	}
}

// An ownerKind says where the traffic of a process counts.
type ownerKind uint8

const (
	ownerUnknown   ownerKind = iota // the process is in neither a walk nor an exit event
	ownerUndecided                  // the process may join a group
	ownerGroup
	ownerNone // the process is in no group
)

// socketOwner returns where the traffic of a process counts, and its group. at is the index
// of its record, or -1 if the process is not live.
func (t *Tracker) socketOwner(id platform.ID, at int) (ownerKind, *groupState) {
	if at >= 0 {
		r := &t.records[at]
		switch {
		case r.group != nil:
			return ownerGroup, r.group
		case t.staysUngrouped(r, &t.snap.Samples[at]):
			return ownerNone, nil
		}
		return ownerUndecided, nil
	}
	if p, ok := t.awaitedExits[id]; ok {
		if t.hasGroup(p.group) {
			return ownerGroup, p.group
		}
		return ownerUndecided, nil
	}
	group, ok := t.sockets.exited.find(id, t.snap.Now)
	switch {
	case !ok:
		return ownerUnknown, nil
	case t.hasGroup(group):
		return ownerGroup, group
	}
	return ownerNone, nil
}

// hasGroup reports whether a group exists. Empty groups can be removed.
func (t *Tracker) hasGroup(g *groupState) bool { return g != nil && t.groups[g.key] == g }

// noteExit keeps the group of a process that has exited. The kernel sends the data of a
// socket after its process has exited, and its last counters are known when it closes.
func (t *Tracker) noteExit(id platform.ID, g *groupState) {
	if t.sockets.reader != nil {
		t.sockets.exited.add(withoutSerial(id), g, t.snap.Now)
	}
}

const (
	// exitedOwnerTTL is the time in seconds for which the group of an exited process is
	// kept after its last traffic.
	exitedOwnerTTL = 900

	// maxExitedOwners limits the exited processes whose group is kept.
	maxExitedOwners = 16384
)

// exitedOwners are the groups of processes that have exited.
type exitedOwners struct {
	byID  map[platform.ID]exitedOwner // without Serial
	order []platform.ID               // in the order of their exits
}

// An exitedOwner is the group of a process that has exited.
type exitedOwner struct {
	group *groupState // nil in no group
	used  uint64      // ticks after boot of its exit, or of its last traffic
}

// add adds a process, and removes the first one above maxExitedOwners.
func (o *exitedOwners) add(id platform.ID, g *groupState, now uint64) {
	if o.byID == nil {
		o.byID = make(map[platform.ID]exitedOwner)
	}
	if _, known := o.byID[id]; !known {
		o.order = append(o.order, id)
	}
	o.byID[id] = exitedOwner{g, now}
	if len(o.order) > maxExitedOwners {
		o.removeFirst()
	}
}

func (o *exitedOwners) removeFirst() {
	delete(o.byID, o.order[0])
	o.order = o.order[1:]
}

// find returns the group of a process that has exited.
func (o *exitedOwners) find(id platform.ID, now uint64) (*groupState, bool) {
	e, ok := o.byID[id]
	if !ok {
		return nil, false
	}
	for e.group != nil && e.group.mergedInto != nil {
		e.group = e.group.mergedInto
	}
	e.used = now
	o.byID[id] = e
	return e.group, true
}

// removeOld removes the first processes without traffic for exitedOwnerTTL.
func (o *exitedOwners) removeOld(snap *platform.Snapshot) {
	for len(o.order) > 0 && snap.Now-o.byID[o.order[0]].used > exitedOwnerTTL*snap.TicksPerSecond {
		o.removeFirst()
	}
}

// addReported adds Traffic of a Report.
func (a *trafficTotal) addReported(d *sockets.Traffic) {
	addTraffic(&a.Traffic, d)
	for _, micros := range d.RoundTrips {
		a.roundTrips.observe(micros)
	}
}

func (a *trafficTotal) add(d *trafficTotal) {
	addTraffic(&a.Traffic, &d.Traffic)
	a.roundTrips.add(&d.roundTrips)
}

// addTraffic adds everything but RoundTrips.
func addTraffic(to, d *sockets.Traffic) {
	to.SentBytes += d.SentBytes
	to.ReceivedBytes += d.ReceivedBytes
	to.SentSegments += d.SentSegments
	to.RetransmittedSegments += d.RetransmittedSegments
	to.OpenedOutgoing += d.OpenedOutgoing
	to.OpenedIncoming += d.OpenedIncoming
	for i, n := range d.Failures {
		to.Failures[i] += n
	}
	to.ListenDrops += d.ListenDrops
	to.UDPDrops += d.UDPDrops
}

// anyTraffic reports whether anything is not 0.
func anyTraffic(d *sockets.Traffic) bool {
	var sum sockets.Traffic
	addTraffic(&sum, d)
	return len(d.RoundTrips) > 0 || sum.SentBytes|sum.ReceivedBytes|sum.SentSegments|sum.RetransmittedSegments != 0 ||
		sum.OpenedOutgoing|sum.OpenedIncoming != 0 ||
		sum.Failures != [sockets.NumFailures]uint64{} || sum.ListenDrops|sum.UDPDrops != 0
}
