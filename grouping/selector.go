package grouping

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// A selector is one condition of a rule.
type selector interface {
	match(s *subject) bool
	needs() platform.IdentityFields
	key() string              // what it is called in the file
	entries() []string        // what it wants
	sees(s *subject) []string // what of a process it looks at
}

// A list passes processes of which one text fits one entry.
type list struct {
	*listKind
	items []string
}

// A listKind is what distinguishes the lists: whose texts they look at, and
// when an entry fits.
type listKind struct {
	name  string
	words platform.IdentityFields
	texts func(s *subject) []string
	fits  func(entry, text string) bool
}

// listKinds are the selectors that are lists of texts, in the order in which a
// rule tries them: what is told apart most cheaply comes first.
var listKinds = []*listKind{
	{"comm", 0, func(s *subject) []string { return []string{s.id.Comm} }, equal},
	{"exe", platform.IdentityArgs, firstArgument, calledAs},
	{"user", platform.IdentityUser, userTexts, equal},
	{"exe_path", platform.IdentityExe, func(s *subject) []string { return present(s.id.Exe) }, fitsPattern},
	{"ancestor", platform.IdentityAncestors, func(s *subject) []string { return s.id.Ancestors }, equal},
	{"unit", platform.IdentityCgroups, func(s *subject) []string { return present(s.place().Unit) }, fitsPattern},
	{"container", platform.IdentityCgroups, func(s *subject) []string { return present(s.place().ContainerID) }, fitsContainer},
}

func (l *list) key() string { return l.name }

func (l *list) needs() platform.IdentityFields { return l.words }

func (l *list) entries() []string { return l.items }

func (l *list) sees(s *subject) []string { return l.texts(s) }

func (l *list) match(s *subject) bool {
	texts := l.texts(s)
	return slices.ContainsFunc(l.items, func(entry string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return l.fits(entry, text) })
	})
}

func equal(entry, text string) bool { return entry == text }

func present(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func firstArgument(s *subject) []string {
	if len(s.id.Args) == 0 {
		return nil
	}
	return s.id.Args[:1]
}

// calledAs compares a first argument: an entry with a slash is the whole of
// it, one without is its last element.
func calledAs(entry, text string) bool {
	if strings.Contains(entry, "/") {
		return entry == text
	}
	return entry == path.Base(text)
}

// userTexts returns the name and the number of the effective user.
func userTexts(s *subject) []string {
	if s.id.Username == "" { // it could not be read
		return nil
	}
	return []string{s.id.Username, strconv.FormatUint(uint64(s.id.EUID), 10)}
}

// fitsPattern compares with a shell pattern, as systemctl does with units. The
// decoder has refused the malformed ones.
func fitsPattern(entry, text string) bool {
	ok, err := path.Match(entry, text)
	return ok && err == nil
}

// fitsContainer compares a container's id with the first digits of one. A star
// is any container.
func fitsContainer(entry, id string) bool {
	return entry == "*" || entry != "" && strings.HasPrefix(id, strings.ToLower(entry))
}

// expressions pass processes of which the texts match regular expressions.
type expressions struct {
	*expressionKind
	all bool // of the expressions have to match, rather than one
	res []*regexp.Regexp

	anything bool // what allAnything says, which is asked of each rule for each behind it
}

type expressionKind struct {
	name  string
	words platform.IdentityFields
	all   bool
	texts func(s *subject) []string
}

// expressionKinds are the selectors that are lists of regular expressions.
var expressionKinds = []*expressionKind{
	{"cmdline", platform.IdentityArgs, true, func(s *subject) []string { return []string{s.commandLine()} }},
	{"cgroup", platform.IdentityCgroups, false, func(s *subject) []string { return s.id.Cgroups }},
}

func (e *expressions) key() string { return e.name }

func (e *expressions) needs() platform.IdentityFields { return e.words }

func (e *expressions) sees(s *subject) []string { return e.texts(s) }

func (e *expressions) entries() []string {
	texts := make([]string, len(e.res))
	for i, re := range e.res {
		texts[i] = re.String()
	}
	return texts
}

func (e *expressions) match(s *subject) bool {
	texts := e.texts(s)
	for _, re := range e.res {
		found := false
		for _, text := range texts {
			if groups := re.FindStringSubmatch(text); groups != nil {
				s.capture(re.SubexpNames(), groups)
				found = true
				break
			}
		}
		if found != e.all {
			return found
		}
	}
	return e.all
}

// A refusal passes the processes that no entry of its selectors fits.
type refusal struct{ of []selector }

func (n *refusal) key() string { return "not" }

func (n *refusal) match(s *subject) bool {
	captured := s.matches
	s.matches = nil // what is captured here belongs to nobody
	defer func() { s.matches = captured }()
	return !slices.ContainsFunc(n.of, func(sel selector) bool { return sel.match(s) })
}

func (n *refusal) needs() (words platform.IdentityFields) {
	for _, sel := range n.of {
		words |= sel.needs()
	}
	return words
}

func (n *refusal) entries() (texts []string) {
	for _, sel := range n.of {
		for _, entry := range sel.entries() {
			texts = append(texts, sel.key()+" "+entry)
		}
	}
	return texts
}

func (n *refusal) sees(s *subject) (texts []string) {
	for _, sel := range n.of {
		texts = append(texts, sel.sees(s)...)
	}
	return texts
}
