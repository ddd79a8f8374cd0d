package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// lastCapability is the highest possible capability number. The kernel rejects
// numbers above CAP_LAST_CAP.
const lastCapability = 63

// maxPendingSignals is the limit of queued signals and timers. The Go runtime needs a timer
// for each thread while it takes a CPU profile.
const maxPendingSignals = 256

// activateLayers activates the layers in order. The seccomp filter is last: it requires
// no_new_privs, and denies the system calls that activate the other layers.
func activateLayers(o Options) Report {
	var r Report
	r.Held = effective(o.Keep)
	if err := checkThreads(); err != nil {
		r.Unavailable = []error{fmt.Errorf("sandbox: %w", err)}
		return r
	}
	closeInherited()
	leaveTerminal()
	replaceTerminals()
	// The kernel counts watches of epoll(7) and pseudoterminals per user, and they need files: those
	// of this process could exhaust the limit of other processes.
	lowerLimit(unix.RLIMIT_NOFILE, o.OpenFiles)
	layers := []struct {
		name  string
		enter func() error
		skip  bool
	}{
		{"capabilities", func() error { return drop(r.Held) }, false},
		{"no_new_privs", func() error { return onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0) }, false},
		{"undumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }, false},
		{"landlock", func() error { return restrictFiles(o.Readable) }, !o.Landlock},
		{"seccomp", func() error {
			limitPendingSignals()
			return installFilter()
		}, false},
	}
	for _, l := range layers {
		if l.skip {
			continue
		}
		if err := l.enter(); err != nil {
			r.Unavailable = append(r.Unavailable, fmt.Errorf("sandbox: %s: %w", l.name, err))
			continue
		}
		r.Layers = append(r.Layers, l.name)
	}
	return r
}

// limitPendingSignals limits queued signals and timers, which the kernel counts per user: those of
// this process could exhaust the limit of other processes. If other processes of the user have
// queued as many, the Go runtime cannot signal its threads, and system calls on all threads never
// return. So the limit is set after the last of these calls.
func limitPendingSignals() { lowerLimit(unix.RLIMIT_SIGPENDING, maxPendingSignals) }

// lowerLimit lowers a resource limit. 0 keeps it.
func lowerLimit(resource int, limit uint64) {
	var old unix.Rlimit
	if limit == 0 || unix.Getrlimit(resource, &old) != nil || old.Max <= limit {
		return
	}
	_ = unix.Setrlimit(resource, &unix.Rlimit{Cur: min(old.Cur, limit), Max: limit}) // permitted without privileges
}

// onAllThreads makes a system call on every thread, because privileges belong to
// threads, and goroutines move between threads. The remaining arguments are 0, as
// some calls require.
func onAllThreads(call, a, b, c uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func effective(all []Capability) (have []Capability) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return nil
	}
	for _, c := range all {
		if data[c/32].Effective>>(c%32)&1 != 0 {
			have = append(have, c)
		}
	}
	return have
}

// drop drops all capabilities except keep, also from the bounding and ambient sets
// that programs started by this process would inherit.
func drop(keep []Capability) error {
	for c := uintptr(0); c <= lastCapability; c++ {
		if !slices.Contains(keep, Capability(c)) {
			// Fails without CAP_SETPCAP. This is acceptable: seccomp denies execve(2).
			_ = onAllThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		}
	}
	_ = onAllThreads(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0) // since Linux 4.3
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := new([2]unix.CapUserData)
	for _, c := range keep {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	// A uintptr does not keep its target alive, and stacks move when they grow:
	// pinning forces the structs to the heap.
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(header)
	pins.Pin(data)
	err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	if err != nil && holdsExactly(data) {
		return nil // an outer seccomp filter denies capset(2), but no other capabilities are held
	}
	return err
}

// holdsExactly reports whether the effective and permitted sets are those of want.
func holdsExactly(want *[2]unix.CapUserData) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if unix.Capget(&header, &have[0]) != nil {
		return false
	}
	for i, w := range want {
		if have[i].Effective != w.Effective || have[i].Permitted != w.Permitted {
			return false
		}
	}
	return true
}

// restrictFiles permits only the directories in readable to be opened, for reading,
// and everything below them. It uses the features of the Landlock ABI that the
// kernel has, up to version 7. It returns an error if the kernel has no Landlock
// (before Linux 5.13, or disabled).
func restrictFiles(readable []string) error {
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		return errno
	} else if abi == 0 {
		return unix.EOPNOTSUPP
	}
	var rules []landlock.Rule
	for _, dir := range readable {
		if _, err := os.Stat(dir); err == nil {
			rules = append(rules, landlock.RODirs(dir))
		}
	}
	return landlock.V7.BestEffort().Restrict(rules...)
}
