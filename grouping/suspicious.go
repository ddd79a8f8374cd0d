package grouping

import (
	"context"
	"slices"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// A SuspiciousMatch is a process that matches a rule only by its arguments, and is probably not
// meant.
type SuspiciousMatch struct {
	Rule    *Rule
	PID     int
	Comm    string
	Command string // the command line, with secrets replaced
}

// argumentPrograms are programs whose arguments name other programs.
var argumentPrograms = []string{
	"cat", "gdb", "grep", "journalctl",
	"less", "man", "more", "nano", "ssh", "strace", "su", "sudo", "systemctl", "tail", "vi", "vim", "watch",
}

// SuspiciousMatches returns the processes of rules with cmdline alone that match only by their
// arguments, although other processes match by their program, or although their program
// is one of argumentPrograms.
func (t *Tracker) SuspiciousMatches(ctx context.Context) (all []SuspiciousMatch) {
	var byArguments []SuspiciousMatch
	byProgram := make(map[*Rule]bool)
	for i := range t.records {
		r, s := &t.records[i], &t.snap.Samples[i]
		if r.state != stateMatched || !r.rule.isCommandLineOnly() {
			continue
		}
		id, err := t.src.Identify(ctx, s, platform.IdentityArgs)
		if err != nil || len(id.Args) == 0 {
			continue
		}
		program := candidate{id: &platform.Identity{Comm: id.Comm, Args: id.Args[:1]}}
		if r.rule.match(&program) {
			byProgram[r.rule] = true
			continue
		}
		c := candidate{id: &id}
		byArguments = append(byArguments, SuspiciousMatch{r.rule, s.PID, s.Comm, redact.Secrets(c.commandLine())})
	}
	for _, m := range byArguments {
		if byProgram[m.Rule] || slices.Contains(argumentPrograms, m.Comm) {
			all = append(all, m)
		}
	}
	return all
}

// isCommandLineOnly reports whether cmdline is the only selector of the rule.
func (r *Rule) isCommandLineOnly() bool {
	for _, sel := range r.selectors {
		if sel.key() != "cmdline" {
			return false
		}
	}
	return len(r.selectors) > 0
}
