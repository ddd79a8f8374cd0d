package grouping

import (
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// maxQuickArgs is the length of a command line in bytes from which on it is matched after
// all shorter ones. The time to match a rule grows with the length, and any user can start
// processes with 128 KiB of arguments. They cannot delay the match of other processes.
const maxQuickArgs = 16 << 10

// A matchBudget limits the CPU time that one update spends on matching.
type matchBudget struct {
	unlimited bool          // no update has finished with the current rules
	spent     time.Duration // in this update
	long      []int         // indexes of the processes with long command lines to identify

	// PIDs of the first process that was not matched because the budget was used up, or because
	// of the deadline, 0 if there was none. The next update begins with them.
	resume, resumeLong int
}

// exhausted reports whether no time is left in this update.
func (t *Tracker) exhausted() bool {
	return t.opts.MatchBudget > 0 && t.budget.spent >= t.opts.MatchBudget && !t.budget.unlimited
}

// postpone leaves a process to the next update. Its usage counts when it is identified, or
// in the group where it is.
func (t *Tracker) postpone(r *processRecord, resume *int) {
	if *resume == 0 {
		*resume = r.id.PID
	}
	if r.identity == identityDue {
		t.health.Unidentified++
	}
}

// interrupt leaves a process to the next update, because this one has reached its deadline. The next
// one begins with the first of them: otherwise young processes, which each update matches again,
// could use all the time.
func (t *Tracker) interrupt(r *processRecord, resume *int) {
	if *resume == 0 {
		*resume = r.id.PID
	}
	t.health.Incomplete = true
}

// matchWithinBudget matches an identity, and adds the CPU time to that of this update.
func (t *Tracker) matchWithinBudget(id *platform.Identity) Match {
	start := t.matchCPUTime()
	m := t.matcher.Match(id)
	t.budget.spent += t.matchCPUTime() - start
	return m
}

// matchCPUTime returns the CPU time that this program has used, or 0 without a budget.
func (t *Tracker) matchCPUTime() time.Duration {
	if t.opts.MatchBudget == 0 {
		return 0
	}
	return t.opts.CPUTime()
}

// argsLength returns the length of a command line in bytes.
func argsLength(args []string) (n int) {
	for _, arg := range args {
		n += len(arg) + 1
	}
	return n
}
