package platform

import "time"

// IdentityFields is a set of fields of an [Identity] that are read or computed only on request.
type IdentityFields uint8

// The fields of an Identity, apart from ID, Comm, StartTime and Fingerprint.
const (
	IdentityArgs      IdentityFields = 1 << iota // Args: /proc/PID/cmdline
	IdentityUser                                 // EUID and Username: /proc/PID/status
	IdentityCgroups                              // Cgroups: /proc/PID/cgroup
	IdentityExe                                  // Exe: /proc/PID/exe
	IdentityAncestors                            // Ancestors, which the caller of a Source computes
	IdentityContainer                            // Container, which the caller of a Source finds
)

// An Identity holds the names of a process, from which groups are made.
type Identity struct {
	ID
	Comm      string
	StartTime time.Time // in UTC

	// Args is the command line, split into arguments. It is empty for kernel threads, and for
	// zombies unless the source bpf has their exit event. It is truncated after 128 KiB, or
	// after 2 KiB if it is from an exit event.
	Args     []string
	EUID     uint32
	Username string   // of EUID, or its number if it has no name
	Cgroups  []string // the path of every line of /proc/PID/cgroup, in order

	// Exe is the path of the executable, without the suffix " (deleted)". It is empty
	// for kernel threads, zombies and exited processes, and for processes of other users
	// without CAP_SYS_PTRACE.
	Exe string

	Ancestors []string // Comm of the parent, the grandparent and so on

	Container ContainerNames

	// Fingerprint is a hash of the fields that were read: see [Source.Fingerprints]. It
	// is 0 for a process that has exited.
	Fingerprint uint64
}

// ContainerNames are the names of a container, of its Kubernetes pod, and of its service and
// project of Compose. Unknown names are empty.
type ContainerNames struct {
	Pod, PodNamespace              string
	Container                      string
	ComposeService, ComposeProject string
}
