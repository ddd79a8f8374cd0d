package webui

import (
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// failureWindow is the time for which failures are counted.
const failureWindow = 5 * time.Minute

// failures counts the processes that failed in the last walks. It is immutable.
type failures struct {
	known  bool // the source reports exits
	points []failurePoint
}

// A failurePoint is the number of processes that failed between two walks.
type failurePoint struct {
	at    time.Time // end of the second walk
	count uint64    // not 0
}

// extended returns failures with those between two walks. prev has the groups of the first
// walk by key.
func (f failures) extended(at time.Time, prev map[string]*grouping.Group, groups []grouping.Group) failures {
	out := failures{}
	for _, p := range f.points {
		if at.Sub(p.at) < failureWindow {
			out.points = append(out.points, p)
		}
	}
	count := uint64(0)
	for i := range groups {
		g := &groups[i]
		out.known = out.known || g.ExitsKnown
		now, before := failedExits(g), uint64(0)
		if old := prev[g.Key()]; old != nil {
			before = failedExits(old)
		}
		if now > before {
			count += now - before
		}
	}
	if count > 0 {
		out.points = append(out.points, failurePoint{at, count})
	}
	return out
}

// total returns the number of failures in the window that ends at now.
func (f failures) total(now time.Time) (n uint64) {
	for _, p := range f.points {
		if now.Sub(p.at) < failureWindow {
			n += p.count
		}
	}
	return n
}

// failedExits returns how many processes of a group have failed since the start.
func failedExits(g *grouping.Group) (n uint64) {
	for i := range g.Exits {
		if isFailure(g.Exits[i].Reason, g.Exits[i].Code) {
			n += g.Exits[i].Count
		}
	}
	return n
}

// isFailure reports whether an exit is a failure: a status other than 0, or a signal with which
// users and service managers do not stop processes.
func isFailure(reason, code string) bool {
	if reason == platform.ReasonExited {
		return code != "0"
	}
	switch code {
	case "SIGHUP", "SIGINT", "SIGPIPE", "SIGTERM":
		return reason == platform.ReasonDumped
	}
	return true
}
