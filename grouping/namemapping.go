package grouping

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// ErrNameMapping matches the errors of [NewNameMapping].
var ErrNameMapping = errors.New("bad name mapping")

// nameMapping is the Matcher of the flags procnames and namemapping.
type nameMapping struct {
	names    map[string]bool
	mappings map[string]*regexp.Regexp
}

// NewNameMapping returns the Matcher of the flags -procnames, names separated
// by commas, and -namemapping, pairs of a name and a regular expression. As no
// comma can be quoted, no expression can have one.
//
// A mapping alone decides about the processes of its name: one whose command
// line does not match is in no group, even if procnames has its name too.
func NewNameMapping(procnames, namemapping string) (Matcher, error) {
	m := nameMapping{names: make(map[string]bool), mappings: make(map[string]*regexp.Regexp)}
	for name := range strings.SplitSeq(procnames, ",") {
		if name != "" {
			m.names[name] = true
		}
	}
	if namemapping == "" {
		return m, nil
	}
	tokens := strings.Split(namemapping, ",")
	if len(tokens)%2 != 0 {
		return nil, fmt.Errorf("grouping: %w, of %q: %d parts between commas; write pairs: name,regexp,name,regexp",
			ErrNameMapping, namemapping, len(tokens))
	}
	for i := 0; i < len(tokens); i += 2 {
		name, expr := tokens[i], tokens[i+1]
		if name == "" || expr == "" {
			return nil, fmt.Errorf("grouping: %w, of %q: pair %d has an empty part; remove the comma too many",
				ErrNameMapping, namemapping, i/2+1)
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, fmt.Errorf("grouping: %w, regexp %q of %s: %w%s", ErrNameMapping, expr, name, err, regexpHint(expr))
		}
		m.mappings[name] = re
	}
	return m, nil
}

func (m nameMapping) Needs() platform.Words {
	if len(m.mappings) > 0 {
		return platform.WordArgs
	}
	return 0
}

func (m nameMapping) Match(id *platform.Identity) Match {
	re, mapped := m.mappings[id.Comm]
	if !mapped {
		if !m.names[id.Comm] {
			return Match{}
		}
		return Match{Group: ValidLabel(id.Comm), OK: true}
	}
	groups := re.FindStringSubmatch(strings.Join(id.Args, " "))
	for i := 1; i < len(groups); i++ {
		if groups[i] != "" {
			return Match{Group: ValidLabel(id.Comm + ":" + groups[i]), OK: true}
		}
	}
	return Match{}
}
