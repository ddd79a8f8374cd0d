//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// loaded are programs in the kernel: an iterator, which reports on request, and programs of
// tracepoints, which report events in a ring buffer. They stay attached until Close.
type loaded struct {
	collection  *ebpf.Collection
	iterator    *link.Iter
	tracepoints []link.Link
	ring        *ring
}

// kernelTypes returns the types of the running kernel.
func kernelTypes() (*btf.Spec, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("bpf: cannot read kernel types from /sys/kernel/btf/vmlinux "+
			"(requires CONFIG_DEBUG_INFO_BTF; in a container, mount /sys): %w", err)
	}
	return kernel, nil
}

// ownNamespace returns the inode of the PID namespace of this process, in which the programs
// report PIDs.
func ownNamespace() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return 0, fmt.Errorf("cannot read PID namespace: %w", err)
	}
	return uint32(st.Ino), nil
}

// newLoaded loads the programs of spec. Its errors are those of [Load].
func newLoaded(spec *ebpf.CollectionSpec, kernel *btf.Spec) (loaded, error) {
	memlock := rlimit.RemoveMemlock() // fails also on kernels that need no limit, without CAP_BPF
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: kernel},
	})
	if err != nil {
		return loaded{}, newKernelProbe(memlock).explain(err)
	}
	return loaded{collection: collection}, nil
}

// attach attaches the programs: first that of the iterator, which firstScan runs. This sets
// own_level, which the other programs need. handle is called for each record of the ring buffer.
func (l *loaded) attach(iterator string, firstScan func() error, ringName string, handle func(record []byte) error) (err error) {
	if l.iterator, err = link.AttachIter(link.IterOptions{Program: l.collection.Programs[iterator]}); err != nil {
		return fmt.Errorf("bpf: attach: %w", err)
	}
	if err := firstScan(); err != nil {
		return fmt.Errorf("bpf: attach: %w", err)
	}
	for name, program := range l.collection.Programs {
		if name == iterator {
			continue
		}
		tracepoint, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return fmt.Errorf("bpf: attach: %s: %w", name, err)
		}
		l.tracepoints = append(l.tracepoints, tracepoint)
	}
	reader, err := ringbuf.NewReader(l.collection.Maps[ringName])
	if err != nil {
		return fmt.Errorf("bpf: attach: %w", err)
	}
	l.ring = newRing(reader, handle)
	return nil
}

// Close detaches and unloads the programs.
func (l *loaded) Close() error {
	var errs []error
	if l.ring != nil {
		errs = append(errs, l.ring.close())
	}
	for _, t := range l.tracepoints {
		errs = append(errs, t.Close())
	}
	if l.iterator != nil {
		errs = append(errs, l.iterator.Close())
	}
	l.collection.Close()
	return errors.Join(errs...)
}
