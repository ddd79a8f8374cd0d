package grouping

import (
	"path"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/appname"
	"github.com/seed57308aee/process_exporter/grouping/expression"
	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// A candidate is a process that rules are matched against. It caches values that are
// derived from the identity of the process.
type candidate struct {
	id           *platform.Identity
	captures     captureMode
	capturedText map[string]string       // captures of the rule that is being tried, nil if there are none
	read         platform.IdentityFields // fields whose text was compared

	line   string // the command line, joined
	joined bool   // line is set

	cgroups      cgroupInfo
	innerCgroups cgroupInfo // inside the container, or below the manager of a user's units
	cgroupsKnown bool       // cgroups is set
}

// commandLine returns the arguments joined by single spaces. It joins them once per
// process, not once per rule, because a command line may have megabytes. Flags of the
// exporter contain names of other programs, such as --config.path=redis.yml, so it leaves
// out all arguments of an exporter but the first.
func (c *candidate) commandLine() string {
	if !c.joined {
		args := c.id.Args
		if isExporter(c.id.Comm) && len(args) > 1 && slices.Contains(exporterNames, path.Base(args[0])) {
			args = args[:1]
		}
		c.line, c.joined = strings.Join(args, " "), true
	}
	return c.line
}

// exporterNames are the names of the program, and of that of its predecessor in Debian.
var exporterNames = []string{"process_exporter", "process-exporter", "prometheus-process-exporter"}

// isExporter reports whether comm is one of exporterNames, which Linux truncates.
func isExporter(comm string) bool {
	return comm == "process_exporte" || comm == "process-exporte" || comm == "prometheus-proc"
}

// exeFull returns the first argument, or the process name if there are no arguments.
// Kernel threads and zombies have none.
func (c *candidate) exeFull() string {
	if len(c.id.Args) == 0 {
		return c.id.Comm
	}
	return c.id.Args[0]
}

// exeBase returns the last path element of the first argument, or the process name
// if there are no arguments. It keeps a process name whole, because the name of a
// kernel thread may contain a slash.
func (c *candidate) exeBase() string {
	if len(c.id.Args) == 0 {
		return c.id.Comm
	}
	return path.Base(c.id.Args[0])
}

// maxProgram is the maximum length in bytes of a program name from a command line, which users choose.
const maxProgram = 128

// runtimeThreadNames are the process names that a runtime gives to its main thread. Node.js
// does so since version 22.
var runtimeThreadNames = []string{"MainThread", "node-MainThread"}

// program returns the process name, or the base name of the first argument if a runtime has
// replaced the process name by the name of a thread.
func (c *candidate) program() string {
	if len(c.id.Args) == 0 || !slices.Contains(runtimeThreadNames, c.id.Comm) {
		return c.id.Comm
	}
	program, _, _ := strings.Cut(c.id.Args[0], " ") // the command line may be rewritten as one argument
	program = path.Base(program)
	return strings.ToValidUTF8(program[:min(len(program), maxProgram)], "")
}

// app returns the application that an interpreter runs, such as the module of python.
func (c *candidate) app() string { return appname.Find(c.id.Comm, c.id.Args) }

// cgroup returns the parsed cgroup paths of the process.
func (c *candidate) cgroup() *cgroupInfo {
	c.parseCgroups()
	return &c.cgroups
}

// innerCgroup returns what the owner of the container, or of the user's unit manager,
// says about the process.
func (c *candidate) innerCgroup() *cgroupInfo {
	c.parseCgroups()
	return &c.innerCgroups
}

func (c *candidate) parseCgroups() {
	if c.cgroupsKnown {
		return
	}
	c.cgroups, c.innerCgroups, c.cgroupsKnown = parseCgroups(c.id.Cgroups), cgroupInfo{}, true
	if c.cgroups.ContainerID != "" || isUserManager(c.cgroups.Unit) {
		c.innerCgroups = parseInnerCgroups(c.id.Cgroups)
	}
}

// withInner returns value and OUTER/inner, where OUTER is the container ID or the unit of the user
// manager. It omits empty values.
func (c *candidate) withInner(value, inner string) []string {
	values := nonEmpty(value)
	if inner == "" {
		return values
	}
	outer := c.cgroup().ContainerID
	if outer == "" {
		outer = c.cgroup().Unit
	}
	return append(values, outer+"/"+inner)
}

// parent returns the name of the parent, or "" if there is none.
func (c *candidate) parent() string {
	if len(c.id.Ancestors) == 0 {
		return ""
	}
	return c.id.Ancestors[0]
}

// A captureMode says which captures a rule uses.
type captureMode uint8

const (
	capturesNone  captureMode = iota
	capturesNamed             // groups with a name
	capturesAll               // also the whole match
)

// find reports whether a value matches an expression, and records the captures that the
// rule uses.
func (c *candidate) find(x *expression.Expression, value string) bool {
	if c.captures == capturesNone || c.captures == capturesNamed && !x.HasNamedGroup() {
		return x.Match(value)
	}
	groups := x.FindSubmatch(value)
	if groups == nil {
		return false
	}
	c.capture(x.GroupNames(), groups)
	return true
}

// capture records the captures of a regular expression. All expressions of a rule
// share one map, in which a later capture replaces an earlier one of the same name.
// The whole match and the groups without a name share the key "". The predecessor
// does the same, and {{.Matches}} prints the map.
func (c *candidate) capture(names, groups []string) {
	if c.capturedText == nil {
		c.capturedText = make(map[string]string)
	}
	for i, name := range names {
		c.capturedText[name] = groups[i]
	}
}

// redactedMatches returns the captures without secrets.
func (c *candidate) redactedMatches() map[string]string {
	if c.capturedText == nil {
		return nil
	}
	redacted := make(map[string]string, len(c.capturedText))
	for name, value := range c.capturedText {
		redacted[name] = redact.Secrets(value)
	}
	return redacted
}
