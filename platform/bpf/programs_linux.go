//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Options selects the programs to load.
type Options struct {
	// LegacyExits loads the exit programs for kernels before Linux 6.16 also on newer
	// kernels. Tests use it.
	LegacyExits bool
}

// Programs are the loaded programs. They stay attached until Close.
type Programs struct {
	collection  *ebpf.Collection
	tasks       *link.Iter
	tracepoints []link.Link
	lost        *ebpf.Variable
	events      *Events
}

// Load loads and attaches the programs. [IsDenied] reports whether the error is a
// missing capability. The error matches [ebpf.ErrNotSupported] if the kernel is too
// old, and is a [*RejectedError] if the verifier rejects a program.
func Load(o Options) (*Programs, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // before Linux 5.11
		return nil, fmt.Errorf("bpf: raise RLIMIT_MEMLOCK: %w", err)
	}
	spec, err := loadTasks()
	if err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	return loadSpec(spec, o)
}

func loadSpec(spec *ebpf.CollectionSpec, o Options) (*Programs, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("bpf: cannot read kernel types from /sys/kernel/btf/vmlinux "+
			"(requires CONFIG_DEBUG_INFO_BTF; in a container, mount /sys): %w", err)
	}
	if o.LegacyExits || !hasGroupDead(kernel) {
		delete(spec.Programs, "thread_exits")
	} else {
		delete(spec.Programs, "thread_exits_6_15")
		delete(spec.Programs, "process_execs")
	}
	if err := setNamespace(spec); err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: kernel},
	})
	if err != nil {
		return nil, loadError(err, haveLoopHelper)
	}
	p := &Programs{collection: collection, lost: collection.Variables["lost_events"]}
	if err := p.attach(); err != nil {
		p.Close()
		return nil, fmt.Errorf("bpf: attach: %w", err)
	}
	return p, nil
}

// haveLoopHelper returns an error that matches [ebpf.ErrNotSupported] if the kernel
// lacks the helper bpf_loop, which Linux 5.17 added.
func haveLoopHelper() error { return features.HaveProgramHelper(ebpf.SocketFilter, asm.FnLoop) }

// loadError returns err with the reason why the kernel did not load the programs.
// haveLoop is haveLoopHelper.
func loadError(err error, haveLoop func() error) error {
	var rejected *ebpf.VerifierError
	switch {
	case errors.Is(err, syscall.EPERM), !errors.As(err, &rejected):
		return fmt.Errorf("bpf: load: %w", err)
	case errors.Is(haveLoop(), ebpf.ErrNotSupported):
		return fmt.Errorf("bpf: load: requires Linux 5.17 or later: the kernel lacks bpf_loop: %w", ebpf.ErrNotSupported)
	}
	return &RejectedError{err: fmt.Errorf("bpf: load: %w", err), log: rejected}
}

// hasGroupDead reports whether the tracepoint sched_process_exit has the argument
// group_dead, as since Linux 6.16.
func hasGroupDead(kernel *btf.Spec) bool {
	var hook *btf.Typedef
	if kernel.TypeByName("btf_trace_sched_process_exit", &hook) != nil {
		return false
	}
	pointer, ok := hook.Type.(*btf.Pointer)
	if !ok {
		return false
	}
	function, ok := pointer.Target.(*btf.FuncProto)
	return ok && len(function.Params) == 3 // data pointer, task, group_dead
}

// setNamespace sets the PID namespace in which the programs report PIDs.
func setNamespace(spec *ebpf.CollectionSpec) error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return fmt.Errorf("cannot read PID namespace: %w", err)
	}
	return spec.Variables["own_ns"].Set(uint32(st.Ino))
}

func (p *Programs) attach() (err error) {
	if p.tasks, err = link.AttachIter(link.IterOptions{Program: p.collection.Programs["iterate_tasks"]}); err != nil {
		return err
	}
	var first Scanner // its run sets own_level, which the other programs need
	if err := p.ScanTasks(&first); err != nil {
		return err
	}
	first.Scan()
	first.Stop()
	if err := first.Err(); err != nil {
		return err
	}
	for name, program := range p.collection.Programs {
		if name == "iterate_tasks" {
			continue
		}
		tracepoint, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.tracepoints = append(p.tracepoints, tracepoint)
	}
	reader, err := ringbuf.NewReader(p.collection.Maps["events"])
	if err != nil {
		return err
	}
	p.events = newEvents(reader)
	return nil
}

// ScanTasks starts an iteration over all threads of the machine.
func (p *Programs) ScanTasks(scanner *Scanner) error {
	file, err := p.tasks.Open()
	if err != nil {
		return fmt.Errorf("bpf: %w", err)
	}
	scanner.start(file)
	return nil
}

// Events returns the exit events since Load.
func (p *Programs) Events() *Events { return p.events }

// LostEvents returns the number of processes since Load whose identity record was
// dropped because the ring buffer was full. Their FreeRecord, unless it is dropped too,
// has the flag [EventLost].
func (p *Programs) LostEvents() (n uint64, err error) {
	if err := p.lost.Get(&n); err != nil {
		return 0, fmt.Errorf("bpf: %w", err)
	}
	return n, nil
}

// Forget deletes the kernel state of a process that has exited. It is called if no
// FreeRecord of the process arrives.
func (p *Programs) Forget(tgid uint32, start uint64) {
	_ = p.collection.Maps["exited_threads"].Delete([2]uint64{start, uint64(tgid)}) // most processes have no entry
}

// Close detaches and unloads the programs.
func (p *Programs) Close() error {
	var errs []error
	if p.events != nil {
		errs = append(errs, p.events.close())
	}
	for _, t := range p.tracepoints {
		errs = append(errs, t.Close())
	}
	if p.tasks != nil {
		errs = append(errs, p.tasks.Close())
	}
	p.collection.Close()
	return errors.Join(errs...)
}

// IsDenied reports whether err of Load is a missing capability. EACCES of the verifier
// is not: it is a [*RejectedError].
func IsDenied(err error) bool {
	var rejected *RejectedError
	return errors.Is(err, os.ErrPermission) && !errors.As(err, &rejected)
}

// A RejectedError is the error of a program that the kernel's verifier rejects.
type RejectedError struct {
	err error
	log *ebpf.VerifierError
}

// Error returns the last lines of the verifier log in one line.
func (e *RejectedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RejectedError) Unwrap() error { return e.err }

// Detail returns the whole verifier log, which may have thousands of lines.
func (e *RejectedError) Detail() string { return fmt.Sprintf("%+v", e.log) }
