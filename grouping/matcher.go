package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A Matcher decides from its words which group a process belongs to. It may be
// used from several goroutines at once.
type Matcher interface {
	// Match returns the group of a process. It does not keep id.
	Match(id *platform.Identity) Match

	// Needs returns the words that Match looks at, beside Comm, ID and
	// StartTime. It is the same at every call, and the others need not be read.
	Needs() platform.Words
}

// A Match is the answer of a [Matcher] for one process.
type Match struct {
	Group string // a valid label value, which may be empty
	OK    bool   // without it no rule wants the process and Group means nothing

	// TemplateFailed tells that the name template broke off: Group is what it
	// had written by then, which processes of other groups may share.
	TemplateFailed bool
}
