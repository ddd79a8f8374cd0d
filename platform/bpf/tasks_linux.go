//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Options selects the programs to load.
type Options struct {
	// LegacyExits loads the exit programs for kernels before Linux 6.16 also on newer
	// kernels. Tests use it.
	LegacyExits bool

	// SeparateCounters reads each RSS counter by itself, as before Linux 6.6. Tests use it.
	SeparateCounters bool
}

// Programs are the loaded programs. They stay attached until Close.
type Programs struct {
	loaded
	nested bool
	events *Events
}

// Load loads and attaches the programs. [IsDenied] reports whether the error is a
// missing capability. The error matches [ebpf.ErrNotSupported] if the kernel is too
// old and [ErrLockedDown] if its lockdown mode denies the programs, and is a
// [*RejectedError] if the verifier rejects a program.
func Load(o Options) (*Programs, error) {
	spec, err := loadTasks()
	if err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	return loadSpec(spec, o)
}

func loadSpec(spec *ebpf.CollectionSpec, o Options) (*Programs, error) {
	if err := checkCPUFile(); err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	kernel, err := kernelTypes()
	if err != nil {
		return nil, err
	}
	if o.LegacyExits || !hasGroupDead(kernel) {
		for _, name := range exitPrograms {
			delete(spec.Programs, name)
		}
	} else {
		delete(spec.Programs, "thread_exits_6_15")
		delete(spec.Programs, "process_execs")
	}
	ns, err := ownNamespace(kernel)
	if err != nil {
		return nil, err
	}
	if err := setConstants(spec, kernel, ns, o); err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	l, err := newLoaded(spec, kernel, "events", "exited_threads", "lost_events")
	if err != nil {
		return nil, err
	}
	p := &Programs{loaded: l, nested: ns.level > 0, events: newEvents()}
	if err := p.attach("iterate_tasks", p.firstScan, "events", p.events.handle); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.events.flush = p.ring.flush
	return p, nil
}

// exitPrograms are the programs of the tracepoint sched_process_exit since Linux 6.16. Each
// handles the exits that the others have missed.
var exitPrograms = [...]string{"thread_exits", "thread_exits_missed", "thread_exits_missed_twice"}

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

// setConstants sets the constants of the programs: the PID namespace in which they report
// PIDs, and the number of CPUs whose parts of the RSS counters they add.
func setConstants(spec *ebpf.CollectionSpec, kernel *btf.Spec, ns pidNamespace, o Options) error {
	cpus := 0
	var mm *btf.Struct
	if kernel.TypeByName("mm_struct", &mm) == nil && hasPerCPUCounters(mm) {
		// It is 0 if CPU numbers are missing between others: resident memory is then as
		// inexact as in /proc/PID/stat.
		cpus, _ = ebpf.PossibleCPU()
		spec.Maps["cpu_offsets"].MaxEntries = max(1, uint32(cpus))
	}
	return errors.Join(
		ns.set(spec),
		spec.Variables["cpus"].Set(uint32(cpus)),
		spec.Variables["separate_counters"].Set(o.SeparateCounters))
}

// cpuFile has the numbers of the CPUs that the machine can have. The creation of a per-CPU map
// reads it.
const cpuFile = "/sys/devices/system/cpu/possible"

// checkCPUFile returns an error if reads of cpuFile can block: LXCFS mounts a file system
// over it whose program need not respond.
func checkCPUFile() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo") // does not block
	if err != nil {
		return fmt.Errorf("cannot read mounts: %w", err)
	}
	if fsType := fileSystemType(string(mounts), cpuFile); fsType != "sysfs" {
		return fmt.Errorf("reads of %s can block: its file system has the type %q, want sysfs", cpuFile, fsType)
	}
	return nil
}

// fileSystemType returns the type of the file system that has the file at an absolute path,
// according to the text of /proc/self/mountinfo. It is "" if there is none.
func fileSystemType(mountinfo, path string) (fsType string) {
	longest := 0
	for line := range strings.Lines(mountinfo) {
		mount, source, _ := strings.Cut(line, " - ")
		fields, types := strings.Fields(mount), strings.Fields(source)
		if len(fields) < 5 || len(types) == 0 {
			continue
		}
		point := strings.TrimSuffix(fields[4], "/") // "" for the root
		if strings.HasPrefix(path+"/", point+"/") && len(point) >= longest {
			longest, fsType = len(point), types[0]
		}
	}
	return fsType
}

// hasPerCPUCounters reports whether the RSS counters of the kernel, in its struct
// mm_struct, have a part per CPU: since Linux 6.2 with CONFIG_SMP.
func hasPerCPUCounters(mm *btf.Struct) bool {
	counters, ok := memberType(mm, "rss_stat").(*btf.Array)
	if !ok {
		return false
	}
	counter, ok := btf.UnderlyingType(counters.Type).(*btf.Struct)
	return ok && memberType(counter, "counters") != nil
}

// memberType returns the type of a member of s, or of an anonymous struct in s. It returns
// nil if there is no such member.
func memberType(s *btf.Struct, name string) btf.Type {
	for _, m := range s.Members {
		if m.Name == name {
			return btf.UnderlyingType(m.Type)
		}
		if inner, ok := m.Type.(*btf.Struct); ok && m.Name == "" {
			if t := memberType(inner, name); t != nil {
				return t
			}
		}
	}
	return nil
}

// firstScan runs the iterator for the first tasks. This sets the map cpu_offsets.
func (p *Programs) firstScan() error {
	var first Scanner
	if err := p.ScanTasks(&first); err != nil {
		return err
	}
	first.Scan()
	first.Stop()
	return first.Err()
}

// ScanTasks starts an iteration over all threads of the machine.
func (p *Programs) ScanTasks(scanner *Scanner) error {
	file, err := p.iterator.Open()
	if err != nil {
		return fmt.Errorf("bpf: %w", err)
	}
	scanner.Start(file)
	return nil
}

// Events returns the exit events since Load.
func (p *Programs) Events() *Events { return p.events }

// LostEvents returns the number of processes since Load whose identity record was
// dropped because the ring buffer was full. Their ReapedRecord, unless it is dropped too,
// has the flag [EventLost].
func (p *Programs) LostEvents() (n uint64, err error) {
	err = p.lost("lost_events", &n)
	return n, err
}

// InNestedPIDNamespace reports whether this process is not in the initial PID namespace. ReapedRecords then
// also report processes that are not in its namespace.
func (p *Programs) InNestedPIDNamespace() bool { return p.nested }

// Forget deletes the kernel state of a process that has exited. It is called if no
// ReapedRecord of the process arrives.
func (p *Programs) Forget(tgid uint32, start uint64) {
	_ = p.collection.Maps["exited_threads"].Delete([2]uint64{start, uint64(tgid)}) // most processes have no entry
}

// Close detaches and unloads the programs.
func (p *Programs) Close() error {
	p.events.close()
	return p.loaded.Close()
}
