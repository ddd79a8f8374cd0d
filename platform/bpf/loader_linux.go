//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
)

// loaded are programs in the kernel: an iterator, which reports on request, and programs of
// tracepoints, which report events in a ring buffer. They stay attached until Close.
type loaded struct {
	collection  *ebpf.Collection
	iterator    *link.Iter
	tracepoints []link.Link
	ring        *ring
	zero        uint32 // key of the maps with one value
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

// newLoaded loads the programs of spec. Its errors are those of [Load]. It closes all maps
// except those with the names in keep: the programs continue to use the others, and code in this
// process can no longer read or change them. Some contain addresses of the kernel.
func newLoaded(spec *ebpf.CollectionSpec, kernel *btf.Spec, keep ...string) (loaded, error) {
	memlock := rlimit.RemoveMemlock() // without CAP_BPF, it also fails on kernels that need no limit
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: kernel},
	})
	if err != nil {
		return loaded{}, newKernelProbe(memlock).explain(err)
	}
	for name, m := range collection.Maps {
		if !slices.Contains(keep, name) {
			_ = m.Close()
			delete(collection.Maps, name)
		}
	}
	return loaded{collection: collection}, nil
}

// attach attaches the programs: first that of the iterator, which firstScan runs. handle is
// called for each record of the ring buffer.
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

// lost reads the only value of a map that the programs count in.
func (l *loaded) lost(name string, n *uint64) error {
	if err := l.collection.Maps[name].Lookup(&l.zero, n); err != nil {
		return fmt.Errorf("bpf: %w", err)
	}
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
