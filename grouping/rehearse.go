package grouping

import (
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// sampleCapture stands for every capture in a rehearsal. It is long, for a
// template may rightly count on its expression to capture that much.
var sampleCapture = strings.Repeat("0123456789abcdef", 4)

// rehearse runs a template for an imagined process that has every word, and
// returns what went wrong, or "". A mistake in a template shows only when it
// runs, and then puts all processes of the rule into one group. One that fails
// for lack of a word, such as index .Cgroups 0, may be all right here.
func (t *nameTemplate) rehearse(r *rule) string {
	name, err := t.execute(rehearsalSubject(r).words())
	switch {
	case err != nil:
		return "fails: " + err.Error()
	case strings.Contains(name, "<no value>"):
		return "prints <no value>; is there a (?P<name>...) in cmdline for each of its .Matches?"
	}
	return ""
}

// rehearsalSubject returns a process with all words that r could want.
func rehearsalSubject(r *rule) *subject {
	comm, matches := "sample", map[string]string(nil)
	for _, sel := range r.selectors {
		switch sel := sel.(type) {
		case commSelector:
			if len(sel) > 0 {
				comm = sel[0]
			}
		case cmdlineSelector:
			matches = map[string]string{}
			for _, re := range sel {
				for _, name := range re.SubexpNames() {
					matches[name] = sampleCapture
				}
			}
		}
	}
	return &subject{matches: matches, id: &platform.Identity{
		ID:        platform.ID{PID: 4194304, Start: 100},
		Comm:      comm,
		StartTime: time.Unix(1_700_000_000, 0).UTC(),
		Args:      []string{"/usr/local/bin/" + comm, "--sample", sampleCapture},
		EUID:      65534,
		Username:  "nobody",
		Cgroups:   []string{"/system.slice/sample.service", "/system.slice/sample.service"},
	}}
}
