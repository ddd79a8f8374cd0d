//go:build amd64 || arm64

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A pidNamespace is the PID namespace of this process, in which the programs report PIDs.
type pidNamespace struct {
	inode uint32
	level uint32 // 0 is that of the initial namespace
}

// ownNamespace returns the PID namespace of this process. Its errors are those of [Load].
func ownNamespace(kernel *btf.Spec) (pidNamespace, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return pidNamespace{}, fmt.Errorf("bpf: cannot read PID namespace: %w", err)
	}
	ns := pidNamespace{inode: uint32(st.Ino)}
	spec, err := loadPidnsLevel()
	if err != nil {
		return ns, fmt.Errorf("bpf: %w", err)
	}
	if err := spec.Variables["own_ns"].Set(ns.inode); err != nil {
		return ns, fmt.Errorf("bpf: %w", err)
	}
	l, err := newLoaded(spec, kernel)
	if err != nil {
		return ns, err
	}
	err = l.readLevel(&ns.level)
	return ns, errors.Join(err, l.Close())
}

// readLevel runs the iterator until it has reported the level of the namespace.
func (l *loaded) readLevel(level *uint32) (err error) {
	if l.iterator, err = link.AttachIter(link.IterOptions{Program: l.collection.Programs["find_pidns_level"]}); err != nil {
		return fmt.Errorf("bpf: attach: %w", err)
	}
	file, err := l.iterator.Open()
	if err != nil {
		return fmt.Errorf("bpf: attach: %w", err)
	}
	defer file.Close()
	var report [4]byte
	if _, err := io.ReadFull(file, report[:]); err != nil {
		return fmt.Errorf("bpf: find the level of the PID namespace: %w", err)
	}
	*level = binary.NativeEndian.Uint32(report[:])
	return nil
}

// set sets the constants of the programs of spec.
func (ns pidNamespace) set(spec *ebpf.CollectionSpec) error {
	return errors.Join(spec.Variables["own_ns"].Set(ns.inode), spec.Variables["own_level"].Set(ns.level))
}
