package collector

import (
	"context"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
)

// An UpdateResult is the immutable result of one update.
type UpdateResult struct {
	Time        time.Time        // end of the update
	Took        time.Duration    // duration of the update
	ForExits    bool             // a scrape did not start it: new processes have no proportional memory
	Err         error            // why there are no groups
	Groups      []grouping.Group // sorted by name
	Labels      []string         // label names of groups, without groupname
	Health      grouping.Health
	MatchCounts grouping.MatchCounts

	Sockets grouping.SocketStatus

	Processes []grouping.ProcessList  // of the queries of the ProcessInterest
	Ended     []grouping.EndedProcess // since the previous update, if the ProcessInterest has Ended
}

// A ProcessInterest selects what updates return about single processes. The zero value selects
// nothing, and costs nothing.
type ProcessInterest struct {
	Queries []grouping.ProcessQuery
	Ended   bool
}

// SetInterest sets the function that every update calls for its ProcessInterest. SetInterest must
// be called before the first scrape. interest must not block.
func (c *Collector) SetInterest(interest func() ProcessInterest) { c.interest = interest }

// Watch calls observe with the result of every update, in the order of updates. Watch
// must be called before the first scrape. observe must not block.
func (c *Collector) Watch(observe func(UpdateResult)) { c.observers = append(c.observers, observe) }

// Update waits for the running update, or for a new one, but not longer than ctx.
func (c *Collector) Update(ctx context.Context) { c.join(ctx) }

// notify calls the observers with a finished update.
func (c *Collector) notify(u *update) {
	for _, observe := range c.observers {
		observe(UpdateResult{
			Time: time.Now(), Took: u.took, ForExits: u.forExits, Err: u.err,
			Groups: u.groups, Labels: u.labels, Health: u.health, MatchCounts: u.matchCounts, Sockets: u.sockets,
			Processes: u.processes, Ended: u.ended,
		})
	}
}
