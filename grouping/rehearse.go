package grouping

import (
	"slices"
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
func (t *nameTemplate) rehearse(r *Rule) string {
	name, err := t.execute(rehearsalSubject(r))
	switch {
	case err != nil:
		return "fails: " + err.Error()
	case strings.Contains(name, "<no value>"):
		return "prints <no value>; is there a (?P<name>...) in cmdline for each of its .Matches?"
	}
	return ""
}

// rehearsalSubject returns a process with all words that r could want.
func rehearsalSubject(r *Rule) *subject {
	id := strings.Repeat("0123456789abcdef", 4)
	path := "/kubepods.slice/kubepods-podbd5f6a22_7b22_4e01_8d0e_5c1b1b0a0a01.slice/cri-containerd-" + id + ".scope"
	s := &subject{id: &platform.Identity{
		ID:        platform.ID{PID: 4194304, Start: 100},
		Comm:      "sample",
		StartTime: time.Unix(1_700_000_000, 0).UTC(),
		EUID:      65534,
		Username:  "nobody",
		Cgroups:   []string{path, path},
		Ancestors: []string{"bash", "systemd"},
	}}
	for _, sel := range r.selectors {
		switch sel := sel.(type) {
		case *list:
			if sel.name == "comm" && len(sel.items) > 0 {
				s.id.Comm = sel.items[0]
			}
		case *expressions:
			for _, re := range sel.res {
				groups := slices.Repeat([]string{sampleCapture}, 1+re.NumSubexp())
				s.capture(re.SubexpNames(), groups)
			}
		}
	}
	s.id.Exe = "/usr/local/bin/" + s.id.Comm
	s.id.Args = []string{s.id.Exe, "--sample", sampleCapture}
	return s
}
