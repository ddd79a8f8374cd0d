// Package sandbox takes from the running program what it does not need any
// more: capabilities, and the right to start programs, to write files and to
// open connections.
//
// It is entered once, when everything is open that takes a right, and holds for
// all threads until the program ends. What the kernel does not offer is told to
// the caller and left out.
package sandbox

// Options says what the program still needs.
type Options struct {
	Keep     []Capability // no others are held from then on
	Landlock bool         // only Readable may be opened. Costs the files of other processes that tracing rights guard
	Readable []string     // directories, and all below them
}

// A Capability is one of capabilities(7), by its number.
type Capability uint

// The capabilities that reading processes may take.
const (
	DACReadSearch Capability = 2
	SysPtrace     Capability = 19
	Perfmon       Capability = 38
	BPF           Capability = 39
)

// String returns the name of the capability.
func (c Capability) String() string {
	switch c {
	case DACReadSearch:
		return "CAP_DAC_READ_SEARCH"
	case SysPtrace:
		return "CAP_SYS_PTRACE"
	case Perfmon:
		return "CAP_PERFMON"
	case BPF:
		return "CAP_BPF"
	}
	return "another capability"
}

// A Report says what came of it.
type Report struct {
	Held    []Capability // of those to be kept, what the program has
	Layers  []string     // of [Layers], what is in force
	Missing []error      // what the kernel refused or lacks
}

// Layers returns the names of all that a sandbox is made of.
func Layers() []string {
	return []string{"capabilities", "no_new_privs", "undumpable", "landlock", "seccomp"}
}

// Enter enters the sandbox. It does as much as the kernel allows.
func Enter(o Options) Report { return enter(o) }

// Held returns those of all that the program has in effect. Where the system
// knows no capabilities, nobody lacks one: it returns all.
func Held(all ...Capability) []Capability { return held(all) }
