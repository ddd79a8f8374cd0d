package grouping

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// A rule is one item of process_names. A process must pass all its selectors.
type rule struct {
	selectors []selector // at least one, the cheap ones first
	name      *nameTemplate
}

// A selector is one condition of a rule.
type selector interface {
	match(s *subject) bool
	needs() platform.Words
}

// A subject is the process that rules are tried on, with what was worked out
// about it so far.
type subject struct {
	id      *platform.Identity
	matches map[string]string // captures of the rule being tried, nil without

	line   string // the command line, joined
	joined bool
}

// match reports whether the rule wants s, and leaves its captures there.
func (r *rule) match(s *subject) bool {
	s.matches = nil
	for _, sel := range r.selectors {
		if !sel.match(s) {
			return false
		}
	}
	return true
}

func (r *rule) needs() platform.Words {
	words := r.name.needs
	for _, sel := range r.selectors {
		words |= sel.needs()
	}
	return words
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

// commSelector passes the processes of one of these names.
type commSelector []string

func (c commSelector) match(s *subject) bool { return slices.Contains(c, s.id.Comm) }

func (c commSelector) needs() platform.Words { return 0 }

// exeSelector passes the processes that were started as one of these: an entry
// with a slash is the whole first argument, one without is its last element.
type exeSelector []string

func (e exeSelector) match(s *subject) bool {
	if len(s.id.Args) == 0 {
		return false
	}
	full, base := s.exeFull(), s.exeBase()
	return slices.ContainsFunc(e, func(entry string) bool {
		if strings.Contains(entry, "/") {
			return entry == full
		}
		return entry == base
	})
}

func (e exeSelector) needs() platform.Words { return platform.WordArgs }

// cmdlineSelector passes the processes whose joined command line has all these
// expressions somewhere in it.
type cmdlineSelector []*regexp.Regexp

// match collects the captures in one map for the whole rule: a later expression
// overrides an equal name of an earlier one. The whole match and the groups
// without a name share the key "", as they do for all who print {{.Matches}}.
func (c cmdlineSelector) match(s *subject) bool {
	s.matches = make(map[string]string)
	for _, re := range c {
		groups := re.FindStringSubmatch(s.commandLine())
		if groups == nil {
			return false
		}
		for i, name := range re.SubexpNames() {
			s.matches[name] = groups[i]
		}
	}
	return true
}

func (c cmdlineSelector) needs() platform.Words { return platform.WordArgs }
