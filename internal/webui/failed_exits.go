package webui

import (
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
)

const (
	// failureWindow is the time for which failures are counted.
	failureWindow = 5 * time.Minute

	// maxFailurePoints limits the memory of failures. Above it, the window is shorter.
	maxFailurePoints = 10000
)

// failures counts the processes that failed in the last walks. It is immutable.
type failures struct {
	known  bool      // the source reports exits
	since  time.Time // walk from which on failures are counted
	points []failurePoint

	total  uint64            // sum of points
	groups map[string]uint64 // sums of points by the key of the group, without 0
}

// A failurePoint is the number of processes of a group that failed between two walks.
type failurePoint struct {
	at    time.Time // end of the second walk
	key   string    // of the group
	count uint64    // not 0
}

// extended returns failures with those between two walks. before is the end of the first walk,
// and prev has its groups by key.
func (f failures) extended(before, at time.Time, prev map[string]*grouping.Group, groups []grouping.Group) failures {
	out := failures{since: before, groups: make(map[string]uint64)}
	if f.known {
		out.since = f.since
	}
	for _, p := range f.points {
		if at.Sub(p.at) < failureWindow {
			out.points = append(out.points, p)
		}
	}
	for i := range groups {
		g := &groups[i]
		out.known = out.known || g.ExitsKnown
		now, old := failedExits(g), uint64(0)
		if now == 0 {
			continue
		}
		key := g.Key()
		if p := prev[key]; p != nil {
			old = failedExits(p)
		}
		if now > old {
			out.points = append(out.points, failurePoint{at, key, now - old})
		}
	}
	if extra := len(out.points) - maxFailurePoints; extra > 0 {
		out.since = out.points[extra-1].at
		out.points = out.points[extra:]
	}
	for _, p := range out.points {
		out.total += p.count
		out.groups[p.key] += p.count
	}
	return out
}

// seconds returns the time that total covers, at the last walk.
func (f failures) seconds(last time.Time) float64 {
	return min(last.Sub(f.since), failureWindow).Seconds()
}

// failedExits returns how many processes of a group have failed since the start.
func failedExits(g *grouping.Group) (n uint64) {
	for i := range g.Exits {
		if grouping.IsFailure(g.Exits[i].Reason, g.Exits[i].Code) {
			n += g.Exits[i].Count
		}
	}
	return n
}
