package grouping

import (
	"path"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/appname"
	"github.com/seed57308aee/process_exporter/platform"
)

// A subject is the process that rules are tried on, with what was worked out
// about it so far.
type subject struct {
	id      *platform.Identity
	matches map[string]string // captures of the rule being tried, nil without

	line   string // the command line, joined
	joined bool

	where  place // of its control group
	placed bool
}

// commandLine joins the arguments by single spaces. It does so once per
// process, however many rules ask: a command line may have megabytes.
func (s *subject) commandLine() string {
	if !s.joined {
		s.line, s.joined = strings.Join(s.id.Args, " "), true
	}
	return s.line
}

// exeFull is what a process calls its own program: the first argument. Without
// arguments, as in kernel threads and zombies, the name must do.
func (s *subject) exeFull() string {
	if len(s.id.Args) == 0 {
		return s.id.Comm
	}
	return s.id.Args[0]
}

// exeBase is exeFull without its directory. A bare name is not taken apart, for
// those of kernel threads may have a slash in them.
func (s *subject) exeBase() string {
	if len(s.id.Args) == 0 {
		return s.id.Comm
	}
	return path.Base(s.id.Args[0])
}

// app returns what an interpreter runs, such as the module given to python.
func (s *subject) app() string { return appname.Find(s.id.Comm, s.exeBase(), s.id.Args) }

// place returns what the control group of the process says.
func (s *subject) place() *place {
	if !s.placed {
		s.where, s.placed = placeOf(s.id.Cgroups), true
	}
	return &s.where
}

// parent returns the name of the parent, "" if there is none.
func (s *subject) parent() string {
	if len(s.id.Ancestors) == 0 {
		return ""
	}
	return s.id.Ancestors[0]
}

// capture keeps what a regular expression captured. All of a rule share one
// map: a later expression overrides an equal name of an earlier one. The whole
// match and the groups without a name share the key "", as they do for all who
// print {{.Matches}}.
func (s *subject) capture(names, groups []string) {
	if s.matches == nil {
		s.matches = make(map[string]string)
	}
	for i, name := range names {
		s.matches[name] = groups[i]
	}
}
