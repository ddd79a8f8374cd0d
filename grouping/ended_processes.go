package grouping

import (
	"slices"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// An EndedProcess is a process of a group that has exited.
type EndedProcess struct {
	Group        string
	PID          int
	Name         string // name of the process when it exited
	Start        time.Time
	End          time.Time // zero if the source does not know it
	Found        time.Time // end of the update that found the exit. The Tracker reads no clock: the caller of Ended sets it.
	Reason, Code string    // see [platform.Exit.Reason]
	OOMKilled    bool
}

// IsFailure reports whether an exit is a failure: a status other than 0, or a signal with which
// users and service managers do not stop processes. See [platform.Exit.Reason].
func IsFailure(reason, code string) bool {
	if reason == platform.ReasonExited {
		return code != "0"
	}
	switch code {
	case "SIGHUP", "SIGINT", "SIGPIPE", "SIGTERM":
		return reason == platform.ReasonDumped
	}
	return true
}

const (
	// maxEnded is the number of ended processes that [LimitEnded] keeps.
	maxEnded = 1000

	// maxEndedOfGroup is the number of ended processes that it keeps for each group name.
	maxEndedOfGroup = 20
)

// LimitEnded removes the oldest processes of ended, which is in the order of exits. It keeps at
// most 20 for each group name, so that a group with many exits does not displace others, and at
// most 1,000 in total. It removes failures last.
func LimitEnded(ended []EndedProcess) []EndedProcess {
	if len(ended) <= maxEndedOfGroup {
		return ended
	}
	perGroup := make(map[string]int)
	kept, keep := 0, make([]bool, len(ended))
	for _, failures := range []bool{true, false} {
		for i := len(ended) - 1; i >= 0 && kept < maxEnded; i-- {
			e := &ended[i]
			if IsFailure(e.Reason, e.Code) == failures && perGroup[e.Group] < maxEndedOfGroup {
				perGroup[e.Group]++
				kept++
				keep[i] = true
			}
		}
	}
	i := -1
	return slices.DeleteFunc(ended, func(EndedProcess) bool {
		i++
		return !keep[i]
	})
}

// KeepEnded sets whether the following updates keep the processes that have exited for
// [Tracker.Ended].
func (t *Tracker) KeepEnded(keep bool) {
	t.keepEnded = keep
	t.ended = nil
}

// Ended returns processes that have exited between the last two updates, as far as [LimitEnded]
// keeps them. Without [Tracker.KeepEnded], and with the source procfs, there are none. The caller
// owns the result.
func (t *Tracker) Ended() []EndedProcess {
	t.ended = LimitEnded(t.ended)
	return t.ended
}

// addEnded adds a process that has exited to Ended.
func (t *Tracker) addEnded(r *processRecord, e *platform.Exit, reason, code string) {
	if !t.keepEnded {
		return
	}
	if len(t.ended) >= 2*maxEnded {
		t.ended = LimitEnded(t.ended)
	}
	ended := EndedProcess{
		Group: r.group.name, PID: e.PID, Name: LabelValue(e.Comm), Start: t.timeOf(e.Start),
		Reason: reason, Code: code, OOMKilled: e.OOMKilled,
	}
	if e.End != 0 {
		ended.End = t.timeOf(e.End)
	}
	t.ended = append(t.ended, ended)
}
