// Package sandbox drops privileges that the running program no longer needs:
// capabilities, and permission to start programs, to write files and to open
// connections.
//
// A program enters the sandbox once, after it has opened everything that needs
// privileges. The sandbox applies to all threads and cannot be left. Layers that
// the kernel does not support are skipped and reported to the caller.
package sandbox

// Options are the privileges that the program keeps.
type Options struct {
	Keep     []Capability // all others are dropped
	Landlock bool         // permit only Readable to be opened; also denies /proc files that need ptrace access
	Readable []string     // directories, including everything below them

	OpenFiles uint64 // maximum number of file descriptors; 0 keeps the limit
}

// A Capability is the number of a capability, see capabilities(7).
type Capability uint

// Capabilities that reading processes may require.
const (
	DACReadSearch Capability = 2
	SysPtrace     Capability = 19
	Perfmon       Capability = 38
	BPF           Capability = 39
)

// String returns the name of one of the capabilities above.
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
	return "unknown capability"
}

// A Report is the result of [Enter].
type Report struct {
	Held        []Capability // the part of Options.Keep that the program has
	Layers      []string     // the part of [Layers] that is active
	Unavailable []error      // one for each layer that the kernel refuses or lacks, or one for all layers
}

// Layers returns the names of all layers of the sandbox.
func Layers() []string {
	return []string{"capabilities", "no_new_privs", "undumpable", "landlock", "seccomp"}
}

// Enter enters the sandbox. It activates each layer that the kernel supports.
func Enter(o Options) Report { return activateLayers(o) }

// Held returns the capabilities of all that are in the effective set of the
// program. On systems without capabilities it returns all.
func Held(all ...Capability) []Capability { return effective(all) }
