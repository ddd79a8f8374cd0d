package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A Matcher decides from the identity of a process which group it belongs to. It is
// immutable and safe for concurrent use.
type Matcher interface {
	// Match returns the group of a process. It does not retain id.
	Match(id *platform.Identity) Match

	// Needs returns the identity fields that Match reads in addition to ID, Comm and
	// StartTime. It always returns the same set. Other fields need not be read.
	Needs() platform.IdentityFields

	// Rules returns all rules in the order in which they are tried.
	Rules() []*Rule

	// LabelNames returns the names of all configured labels, sorted.
	LabelNames() []string
}

// A Match is the result of a [Matcher] for one process.
type Match struct {
	Rule  *Rule  // the first rule that matches, nil if none does
	Group string // a valid label value, which can be empty
	OK    bool   // the process has a group; false if no rule matches, or the rule ignores it

	Labels []string // values of [Matcher.LabelNames], in that order

	// Fields are the identity fields on whose text the result depends. Another text of a
	// field that is not in Fields, and that is not empty, has the same result.
	Fields platform.IdentityFields

	// TemplateFailed reports that a template failed. Group, or a label, is then the
	// text that the template wrote before the error. Processes of different groups
	// may share it.
	TemplateFailed bool
}
