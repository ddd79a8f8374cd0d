package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A Matcher decides from its words which group a process belongs to. It may be
// used from several goroutines at once, and never changes.
type Matcher interface {
	// Match returns the group of a process. It does not keep id.
	Match(id *platform.Identity) Match

	// Needs returns the words that Match looks at, beside Comm, ID and
	// StartTime. It is the same at every call, and the others need not be read.
	Needs() platform.IdentityFields

	// Rules returns all rules, in the order in which they are tried.
	Rules() []*Rule

	// LabelNames returns the labels that groups have beside their name, sorted.
	LabelNames() []string
}

// A Match is the answer of a [Matcher] for one process.
type Match struct {
	Rule  *Rule  // that wants the process, nil if none does
	Group string // a valid label value, which may be empty
	OK    bool   // without it the process is in no group of its own, and Group means nothing

	Labels []string // values of [Matcher.LabelNames], in that order

	// TemplateFailed tells that a template broke off: Group, or a label, is what
	// it had written by then, which processes of other groups may share.
	TemplateFailed bool
}
