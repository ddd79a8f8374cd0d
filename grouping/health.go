package grouping

import "github.com/seed57308aee/process_exporter/platform"

// Health describes the errors of the last update, and counts errors since the start.
type Health struct {
	Unidentified        int    // processes of the last update whose identity could not be read, or not be matched within the budget
	Unresponsive        int    // processes of the last update that block reads of their files
	Unreported          int    // processes that /proc lists and the BPF programs do not report
	UnreportedList      string // PID and name of the first of them
	HidePID             bool   // /proc hides processes of other users (mount option hidepid)
	Incomplete          bool   // the last update ended early: at its deadline, or at a limit of blocked reads or sockets
	StatUnreadable      int    // processes of the last update whose stat could not be read, with or without a Sample
	Partial             int    // processes, without zombies, of the last update of which a wanted field could not be read
	StatUnreadableTotal uint64 // sum of StatUnreadable over all updates
	PartialTotal        uint64 // sum over all updates of Partial, and of zombies with such a field
	TemplateFailures    uint64 // matches whose template failed
	GroupLimitHits      uint64 // processes that joined [OtherName] because of a limit
	ThreadNameLimitHits uint64 // threads that were counted in [OtherName] because of a limit
	CounterDecreases    CounterDecreases
	LostExitEvents      uint64              // exit events that the source lost
	Kind                platform.SourceKind // what the last walk read
}

// setReads sets the results of the reads of an update: withoutStat is the number of processes
// without stat, partial the number with an unreadable field. Of the latter, zombies is the number
// of zombies, which have neither memory nor files.
func (h *Health) setReads(snap *platform.Snapshot, withoutStat, partial, zombies int) {
	h.StatUnreadable, h.Partial = withoutStat, partial-zombies
	h.StatUnreadableTotal += uint64(withoutStat)
	h.PartialTotal += uint64(partial)
	h.Unreported, h.UnreportedList = snap.Unreported, snap.UnreportedList
	h.Unresponsive, h.HidePID = snap.Unresponsive, snap.HidePID
	h.Incomplete = h.Incomplete || snap.Incomplete
}
