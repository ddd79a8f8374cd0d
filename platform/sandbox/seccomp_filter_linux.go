//go:build amd64 || arm64

package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h). Arguments have 64 bits. On
// little-endian machines the lower half comes first. Most system calls use only
// the lower half.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
	offsetHigh = 4 // of the upper half, relative to the argument
)

// firstUnknownCall is above the numbers of all system calls that this package
// knows. Later ones return ENOSYS, as on an old kernel: callers then use an older
// system call.
const firstUnknownCall = 470

// A filter is a classic BPF program.
type filter []unix.SockFilter

func (f *filter) add(code uint16, jumpTrue, jumpFalse uint8, k uint32) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jumpTrue, Jf: jumpFalse, K: k})
}

func (f *filter) load(offset uint32) { f.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, offset) }

func (f *filter) ret(action uint32) { f.add(unix.BPF_RET|unix.BPF_K, 0, 0, action) }

// newFilter returns the filter that permits the calls of rules. All others fail with EPERM,
// except unknown calls and replacedCalls, which fail with ENOSYS.
func newFilter(rules []rule) filter {
	var f filter
	const refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	f.load(offsetArch)
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, auditArch)
	f.ret(refuse)
	f.load(offsetCall)
	f.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 0, 1, firstUnknownCall) // including x32 calls, which have bit 30 set
	f.ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	for _, r := range rules {
		f.permit(r)
	}
	for _, call := range replacedCalls {
		f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(call))
		f.ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	}
	f.ret(refuse)
	return f
}

// permit permits the call of a rule if all checks hold. The call number is loaded
// before the instructions that it adds, and after them.
func (f *filter) permit(r rule) {
	var body filter
	var failures, matches []int // instructions whose false or true branch leaves the body
	for _, c := range r.checks {
		body.load(uint32(offsetArgs + 8*c.argument))
		if c.mask != 0 {
			body.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, c.mask)
		}
		code := uint16(unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K)
		if c.above {
			code = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		}
		if c.none {
			for _, v := range c.values {
				matches = append(matches, len(body))
				body.add(code, 0, 0, v)
			}
			continue
		}
		for i, v := range c.values {
			body.add(code, uint8(len(c.values)-1-i), 0, v)
		}
		failures = append(failures, len(body)-1)
		if c.wide {
			body.load(uint32(offsetArgs + 8*c.argument + offsetHigh))
			body.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 0, 0)
			failures = append(failures, len(body)-1)
		}
	}
	body.ret(unix.SECCOMP_RET_ALLOW)
	for _, i := range failures {
		body[i].Jf = uint8(len(body) - i - 1)
	}
	for _, i := range matches {
		body[i].Jt = uint8(len(body) - i - 1)
	}
	if len(r.checks) > 0 {
		body.load(offsetCall)
	}
	f.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, uint8(len(body)), uint32(r.call))
	*f = append(*f, body...)
}

// A check is a condition on the lower half of an argument.
type check struct {
	argument int
	mask     uint32 // bits that are compared; 0 means all
	values   []uint32
	above    bool // the argument must be greater than the only value
	none     bool // the argument must have none of the values
	wide     bool // the upper half must be 0
	text     string
}

// oneOf permits some values of an argument.
func oneOf(argument int, text string, values ...uint32) check {
	return check{argument: argument, values: values, text: text}
}

// noneOf permits all values of an argument except some.
func noneOf(argument int, text string, values ...uint32) check {
	return check{argument: argument, values: values, none: true, text: text}
}

// only permits no bits other than flags.
func only(argument int, text string, flags uint32) check {
	return check{argument: argument, mask: ^flags, values: []uint32{0}, text: text}
}

// without permits all bits except flags.
func without(argument int, text string, flags uint32) check {
	return check{argument: argument, mask: flags, values: []uint32{0}, text: text}
}

// above permits values greater than limit, and negative ones.
func above(argument int, text string, limit uint32) check {
	return check{argument: argument, values: []uint32{limit}, above: true, text: text}
}

// below4K permits numbers below 4 KiB.
func below4K(argument int, text string) check {
	return check{argument: argument, mask: 0xfffff000, values: []uint32{0}, wide: true, text: text}
}

// below1M permits numbers below 1 MiB. Programs are mapped at 4 MiB or above, unless they
// request lower addresses.
func below1M(argument int, text string) check {
	return check{argument: argument, mask: 0xfff00000, values: []uint32{0}, wide: true, text: text}
}

// null permits 0. It checks both halves: the lower half of the start address of the Go
// heap is 0.
func null(argument int, text string) check {
	return check{argument: argument, values: []uint32{0}, wide: true, text: text}
}

// ownPID permits the PID of this process.
func ownPID(argument int) check { return oneOf(argument, "own PID", uint32(os.Getpid())) }
