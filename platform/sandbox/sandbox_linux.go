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

// lastCapability is above all that there are; the kernel refuses numbers that
// it does not know.
const lastCapability = 63

// enter takes one layer after the other. The order matters: a filter of system
// calls needs no_new_privs, and would keep Landlock from opening its
// directories.
func enter(o Options) Report {
	var r Report
	r.Held = held(o.Keep)
	if err := threadsKnown(); err != nil {
		r.Missing = []error{fmt.Errorf("sandbox: %w", err)}
		return r
	}
	layers := []struct {
		name string
		take func() error
		skip bool
	}{
		{"capabilities", func() error { return drop(r.Held) }, false},
		{"no_new_privs", func() error { return everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0) }, false},
		{"undumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }, false},
		{"landlock", func() error { return restrict(o.Readable) }, !o.Landlock},
		{"seccomp", filterCalls, false},
	}
	for _, l := range layers {
		if l.skip {
			continue
		}
		if err := l.take(); err != nil {
			r.Missing = append(r.Missing, fmt.Errorf("sandbox: %s: %w", l.name, err))
			continue
		}
		r.Layers = append(r.Layers, l.name)
	}
	return r
}

// everyThread makes a system call on every thread, since rights belong to
// threads and Go moves work between them. Some calls want the arguments beyond
// their own to be zero.
func everyThread(call, a, b, c uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func held(all []Capability) (have []Capability) {
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

// drop gives up all capabilities but those to be kept, also those that a program
// which we started could come by.
func drop(keep []Capability) error {
	for c := uintptr(0); c <= lastCapability; c++ {
		if !slices.Contains(keep, Capability(c)) {
			// Without CAP_SETPCAP it is refused; nobody starts programs anyway.
			_ = everyThread(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		}
	}
	_ = everyThread(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0) // since 4.3
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := new([2]unix.CapUserData)
	for _, c := range keep {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	// Numbers keep nothing alive or in its place: what they point to must not be
	// on a stack, which moves when it grows.
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(header)
	pins.Pin(data)
	err := everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0)
	if err != nil && holdsJust(data) {
		return nil // somebody's filter refuses the call, but left us no more than this
	}
	return err
}

// holdsJust reports whether these are the capabilities that are held already.
func holdsJust(want *[2]unix.CapUserData) bool {
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

// restrict lets nothing be opened but what is below some directories, and that
// only for reading. Kernels that know less of Landlock do less; one that knows
// nothing of it is an error.
func restrict(readable []string) error {
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
