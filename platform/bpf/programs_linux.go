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

// Options says which programs to load.
type Options struct {
	// OldExits takes the programs for kernels before Linux 6.16 on a newer one.
	OldExits bool
}

// Programs are loaded, and attached until Close.
type Programs struct {
	collection *ebpf.Collection
	tasks      *link.Iter
	traces     []link.Link
	lost       *ebpf.Variable
	events     *Events
}

// Load loads the programs and attaches them. The error is one of [IsDenied]
// where a capability is missing, matches [ebpf.ErrNotSupported] where the kernel
// is too old, and is a [*RefusedError] where it does not like a program.
func Load(o Options) (*Programs, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // before Linux 5.11
		return nil, fmt.Errorf("bpf: raise the limit of locked memory: %w", err)
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
		return nil, fmt.Errorf("bpf: the kernel does not describe its types in /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF; a container needs /sys): %w", err)
	}
	if o.OldExits || !tellsLast(kernel) {
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
		return nil, explain(err, haveLoops)
	}
	p := &Programs{collection: collection, lost: collection.Variables["lost_events"]}
	if err := p.attach(); err != nil {
		p.Close()
		return nil, fmt.Errorf("bpf: attach: %w", err)
	}
	return p, nil
}

// haveLoops returns an error that matches [ebpf.ErrNotSupported] where the kernel
// is older than Linux 5.17 and nobody gave it bpf_loop.
func haveLoops() error { return features.HaveProgramHelper(ebpf.SocketFilter, asm.FnLoop) }

// explain says why the kernel did not load the programs.
func explain(err error, loops func() error) error {
	var refused *ebpf.VerifierError
	switch {
	case errors.Is(err, syscall.EPERM), !errors.As(err, &refused):
		return fmt.Errorf("bpf: load: %w", err)
	case errors.Is(loops(), ebpf.ErrNotSupported):
		return fmt.Errorf("bpf: load: it takes Linux 5.17 or later, this kernel has no bpf_loop: %w", ebpf.ErrNotSupported)
	}
	return &RefusedError{err: fmt.Errorf("bpf: load: %w", err), log: refused}
}

// tellsLast reports whether the tracepoint of a thread that exits says if it is
// the last of its process.
func tellsLast(kernel *btf.Spec) bool {
	var hook *btf.Typedef
	if kernel.TypeByName("btf_trace_sched_process_exit", &hook) != nil {
		return false
	}
	pointer, ok := hook.Type.(*btf.Pointer)
	if !ok {
		return false
	}
	function, ok := pointer.Target.(*btf.FuncProto)
	return ok && len(function.Params) == 3 // the first is not the tracepoint's
}

// setNamespace tells the programs by which PID namespace to number processes.
func setNamespace(spec *ebpf.CollectionSpec) error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return fmt.Errorf("find our PID namespace: %w", err)
	}
	return spec.Variables["own_ns"].Set(uint32(st.Ino))
}

func (p *Programs) attach() (err error) {
	if p.tasks, err = link.AttachIter(link.IterOptions{Program: p.collection.Programs["tell_tasks"]}); err != nil {
		return err
	}
	var first Scanner // tells the other programs where our PID namespace lies
	if err := p.Tasks(&first); err != nil {
		return err
	}
	first.Scan()
	first.Stop()
	if err := first.Err(); err != nil {
		return err
	}
	for name, program := range p.collection.Programs {
		if name == "tell_tasks" {
			continue
		}
		trace, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.traces = append(p.traces, trace)
	}
	reader, err := ringbuf.NewReader(p.collection.Maps["events"])
	if err != nil {
		return err
	}
	p.events = newEvents(reader)
	return nil
}

// Tasks starts a look at all threads of the machine.
func (p *Programs) Tasks(scanner *Scanner) error {
	file, err := p.tasks.Open()
	if err != nil {
		return fmt.Errorf("bpf: %w", err)
	}
	scanner.start(file)
	return nil
}

// Events returns what ended since the start.
func (p *Programs) Events() *Events { return p.events }

// Lost returns how many processes there was no room to tell the words of since the
// start, so that nobody knows what ended. Their Freed, if there is room for it,
// says [Untold].
func (p *Programs) Lost() (n uint64, err error) {
	if err := p.lost.Get(&n); err != nil {
		return 0, fmt.Errorf("bpf: %w", err)
	}
	return n, nil
}

// Forget drops what is kept of the threads of a process that has ended, for the
// case that no event tells of its end.
func (p *Programs) Forget(tgid uint32, start uint64) {
	_ = p.collection.Maps["dead_threads"].Delete([2]uint64{start, uint64(tgid)}) // most have nothing there
}

// Close detaches and unloads the programs.
func (p *Programs) Close() error {
	var errs []error
	if p.events != nil {
		errs = append(errs, p.events.close())
	}
	for _, t := range p.traces {
		errs = append(errs, t.Close())
	}
	if p.tasks != nil {
		errs = append(errs, p.tasks.Close())
	}
	p.collection.Close()
	return errors.Join(errs...)
}

// IsDenied reports whether err of Load says that we lack a capability. The
// kernel's verifier uses the same words for a program that it does not like.
func IsDenied(err error) bool {
	var refused *RefusedError
	return errors.Is(err, os.ErrPermission) && !errors.As(err, &refused)
}

// A RefusedError says that the kernel's verifier does not accept a program.
type RefusedError struct {
	err error
	log *ebpf.VerifierError
}

// Error returns the last of what the verifier said, in one line.
func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.err }

// Detail returns all that the verifier said, which may be thousands of lines.
func (e *RefusedError) Detail() string { return fmt.Sprintf("%+v", e.log) }
