package grouping

// Health says how well the last update went, and counts troubles since the
// start.
type Health struct {
	Unidentified     int    // processes of the last update whose names did not come
	Blocked          int    // processes of the last update whose files do not answer
	Concealed        bool   // the system keeps the processes of others from us
	Incomplete       bool   // the last update ended at its deadline
	Hidden           int    // processes of the last update whose stat could not be read
	Partial          int    // processes of the last update of which a wanted file could not be read
	HiddenTotal      uint64 // sum of Hidden
	PartialTotal     uint64 // sum of Partial
	TemplateFailures uint64 // names that a template did not finish
	Limited          uint64 // times that a process found no room in a group of its own name
	LimitedThreads   uint64 // the same of threads and their names
	Regressions      Regressions
	LostEvents       uint64 // ends of processes that the Source could not tell in time
	Source           string // what the last update asked
}
