package collector

import (
	"context"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/seed57308aee/process_exporter/grouping"
)

// An update is one update of the Tracker. After done is closed, all fields but
// families are immutable.
type update struct {
	done        chan struct{}
	groups      []grouping.Group
	labels      []string // label names of groups, without groupname
	health      grouping.Health
	matchCounts grouping.MatchCounts

	sockets grouping.SocketStatus

	failures uint64 // failed updates so far

	countersStart int64 // of the counters without a group, in milliseconds since the Unix epoch

	took     time.Duration
	err      error
	excluded grouping.CollectorSet // whose metrics the scrape does not want
	forExits bool                  // started by UpdateOnExits
	overdue  bool                  // a substitute for an update that was not finished at the deadline
	families []*dto.MetricFamily   // nil until a scrape needs them

	processes []grouping.ProcessList
	ended     []grouping.EndedProcess
}

// isIncomplete reports whether the deadline, a limit of blocked reads or of sockets ended the update
// before everything was read. If the update failed, health belongs to the previous update.
func (u *update) isIncomplete() bool { return u.overdue || u.err == nil && u.health.Incomplete }

// limitedTo returns the update with the metrics of these collectors only. What an update reads
// and counts does not depend on the request.
func (u *update) limitedTo(only grouping.CollectorSet) *update {
	if only == grouping.AllCollectors {
		return u
	}
	return &update{
		groups: u.groups, labels: u.labels, health: u.health, matchCounts: u.matchCounts, failures: u.failures, took: u.took, err: u.err,
		sockets: u.sockets, overdue: u.overdue, countersStart: u.countersStart, excluded: grouping.AllCollectors &^ only,
	}
}

// join waits for the running update, or starts one. If ctx ends first, it returns a
// substitute without groups and the update continues for the next scrape. If a
// shorter deadline of another scrape made the update incomplete, join starts or joins
// another one, once. It never returns an update of UpdateOnExits.
func (c *Collector) join(ctx context.Context) *update {
	for joined := 0; ; joined++ {
		u, started := c.begin(ctx)
		if !c.wait(ctx, u) {
			return c.overdueUpdate(ctx)
		}
		if started || !u.forExits && (!u.health.Incomplete || joined > 0) {
			return u
		}
	}
}

// begin returns the running update, or starts one with the deadline of ctx.
func (c *Collector) begin(ctx context.Context) (u *update, started bool) {
	return c.beginWith(ctx, new(update))
}

// beginWith returns the running update, or starts next with the deadline of ctx.
func (c *Collector) beginWith(ctx context.Context, next *update) (u *update, started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		return c.running, false
	}
	next.done, next.countersStart = make(chan struct{}), c.started.UnixMilli()
	c.running = next
	go c.runUpdate(next, updateDeadline(ctx))
	return next, true
}

// wait waits until u is finished. It returns false if ctx ends first.
func (c *Collector) wait(ctx context.Context, u *update) bool {
	select {
	case <-u.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// overdueUpdate returns a substitute for an update that is not finished at the deadline.
func (c *Collector) overdueUpdate(ctx context.Context) *update {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &update{
		health: c.last.health, matchCounts: c.last.matchCounts, labels: c.last.labels, failures: c.last.failures,
		sockets: c.last.sockets, err: ctx.Err(), overdue: true, countersStart: c.started.UnixMilli(),
	}
}

// exitUpdateShare is the reciprocal of the share of one core that updates of UpdateOnExits use, 5 %.
// After maxExitUpdatePause the next one begins in any case: it bounds the memory for the exits of one
// update, and the buffers of the source hold the events of 20,000 exits per second for that time.
const (
	exitUpdateShare    = 20
	maxExitUpdatePause = 250 * time.Millisecond
)

// UpdateOnExits starts an update whenever so many exit events wait in the source that some may be
// lost, until ctx ends. It returns at once if the source has no exit events.
func (c *Collector) UpdateOnExits(ctx context.Context) {
	ready := c.tracker.ExitsReady()
	for ready != nil {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		before := c.tracker.CPUTime()
		u, _ := c.beginWith(ctx, &update{forExits: true})
		c.wait(ctx, u)
		select {
		case <-time.After(min(exitUpdateShare*(c.tracker.CPUTime()-before), maxExitUpdatePause)):
		case <-ctx.Done():
			return
		}
	}
}

// updateDeadline returns the deadline of an update. It leaves a tenth of the time until
// the deadline of ctx for the response.
func updateDeadline(ctx context.Context) time.Time {
	now := time.Now()
	end, ok := ctx.Deadline()
	if !ok {
		return now.Add(DefaultTimeout)
	}
	return end.Add(-end.Sub(now) / 10)
}

// runUpdate updates the Tracker. Only one update runs at a time.
func (c *Collector) runUpdate(u *update, deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	start, interest := time.Now(), c.interest()
	c.tracker.KeepEnded(interest.Ended)
	if u.forExits {
		u.groups, u.err = c.tracker.UpdateForExits(ctx)
	} else {
		u.groups, u.err = c.tracker.Update(ctx)
	}
	u.took = time.Since(start)
	if u.err == nil {
		u.processes, u.ended = c.tracker.Processes(ctx, interest.Queries), c.tracker.Ended()
	}
	u.health, u.matchCounts, u.labels = c.tracker.Health(), c.tracker.MatchCounts(), c.tracker.LabelNames()
	u.sockets = c.tracker.SocketStatus()
	c.logChanges(u)
	c.notify(u) // before the next update can begin, so that observers see the updates in order
	c.mu.Lock()
	u.failures = c.last.failures
	if u.err != nil {
		u.failures++
	}
	c.last, c.running = *u, nil
	c.last.families, c.last.groups, c.last.processes, c.last.ended = nil, nil, nil, nil
	c.mu.Unlock()
	close(u.done)
}

// logChanges logs problems of u that the previous update did not have. Only one update runs at
// a time, and only it changes c.last, so logChanges reads it without the mutex.
func (c *Collector) logChanges(u *update) {
	if u.err != nil {
		c.log.Error("cannot read processes", "err", u.err)
	}
	if u.health.HidePID && !c.last.health.HidePID {
		c.log.Warn("processes of other users are hidden: mount /proc without hidepid, or with gid= of the exporter, or grant CAP_SYS_PTRACE")
	}
	if u.health.Unreported > 0 && c.last.health.Unreported == 0 {
		c.log.Warn("the BPF programs do not report processes that /proc lists; use --source=procfs to include them",
			"processes", u.health.Unreported, "first", u.health.UnreportedList)
	}
	if before := c.last.health.Kind; before != "" && before != u.health.Kind {
		if _, reason := c.tracker.Kind(); reason != nil {
			c.log.Warn("switched process source", "source", u.health.Kind, "reason", reason)
		} else {
			c.log.Info("switched process source", "source", u.health.Kind)
		}
	}
	if before, now := c.last.sockets, u.sockets; before.Kind != "" && before.Kind != now.Kind {
		if _, reason := c.tracker.SocketsKind(); reason != nil {
			c.log.Warn("switched source of sockets", "source", now.Kind, "reason", reason)
		} else {
			c.log.Info("switched source of sockets", "source", now.Kind)
		}
	}
	if c.last.sockets.ReadErrors == 0 && u.sockets.ReadErrors > 0 {
		c.log.Warn("cannot read network sockets; their metrics are missing or delayed")
	}
	if c.last.health.GroupLimitHits == 0 && u.health.GroupLimitHits > 0 {
		c.log.Warn("reached the limit of groups; processes of further groups count in "+grouping.OtherName, "groups", u.matchCounts.Groups)
	}
}
