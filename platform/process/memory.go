package process

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed57308aee/process_exporter/procfs"
)

// MemoryInfo is the memory use of a process in bytes. It is 0 for kernel threads
// and zombies.
type MemoryInfo struct {
	RSS    uint64 // resident memory
	VMS    uint64 // address space
	Shared uint64 // part of RSS: files and shared memory
	Text   uint64 // part of VMS: code
	Data   uint64 // part of VMS: data and stack
}

// MemoryInfo returns the memory use of the process. It reads /proc/PID/statm, which
// is cheap. Before Linux 6.16 RSS may be wrong by some pages per CPU or, before 6.2, per
// thread, because the kernel batches its updates. All values are 0 for kernel threads, for
// zombies, and for processes that are exiting and not yet zombies.
//
// System calls: 1 (3 in the first call).
func (p *Process) MemoryInfo() (MemoryInfo, error) {
	m, err := p.readStatm("memory info")
	if err != nil {
		return MemoryInfo{}, err
	}
	page := p.shared.table.system.pageBytes()
	return MemoryInfo{
		RSS: m.Resident * page, VMS: m.Size * page, Shared: m.Shared * page, Text: m.Text * page, Data: m.Data * page,
	}, nil
}

// MemoryInfoEx is the memory use of a process in more detail, in bytes. A value that
// the kernel lacks is 0. All values are 0 for kernel threads and zombies.
type MemoryInfoEx struct {
	MemoryInfo
	PeakRSS, PeakVMS           uint64
	RSSAnon, RSSFile, RSSShmem uint64 // parts of RSS, since Linux 4.5
	Swap                       uint64
	Hugetlb                    uint64 // not part of RSS, since Linux 4.4
}

// MemoryInfoEx returns the memory use of the process in more detail. It reads
// /proc/PID/statm and status.
//
// System calls: 2 (6 in the first call).
func (p *Process) MemoryInfoEx() (MemoryInfoEx, error) {
	const op = "memory info ex"
	base, err := p.MemoryInfo()
	if err != nil {
		return MemoryInfoEx{}, p.withOperation(op, err)
	}
	st, err := p.readStatus(op)
	if err != nil {
		return MemoryInfoEx{}, err
	}
	return MemoryInfoEx{
		MemoryInfo: base,
		PeakRSS:    st.PeakResidentBytes, PeakVMS: st.PeakVirtualBytes,
		RSSAnon: st.ResidentAnonBytes, RSSFile: st.ResidentFileBytes, RSSShmem: st.ResidentShmemBytes,
		Swap: st.SwapBytes, Hugetlb: st.HugetlbBytes,
	}, nil
}

// Footprint holds the unique, proportional and swapped memory of a process, in bytes. All are 0
// for kernel threads and zombies.
type Footprint struct {
	USS  uint64 // unique: resident and not shared, so freed when the process exits
	PSS  uint64 // proportional: each resident page divided by the processes that share it
	Swap uint64 // swapped out
}

// Footprint returns the unique, proportional and swapped memory of the process. It reads
// /proc/PID/smaps_rollup, or smaps before Linux 4.14. The kernel walks the page
// tables and locks the memory map of the process: a process of many gigabytes can
// stall for seconds. Footprint requires the same user or CAP_SYS_PTRACE; since Linux 6.15
// CAP_PERFMON suffices.
//
// System calls: 4.
func (p *Process) Footprint() (Footprint, error) {
	const op = "footprint"
	if p.ctx != nil {
		return within(p, op, (*Process).Footprint)
	}
	var cache *cached[procfs.Smaps]
	if p.cache != nil {
		cache = &p.cache.smaps
	}
	m, err := cache.get(func() (*procfs.Smaps, error) { return p.readSmaps(op) })
	if err != nil {
		return Footprint{}, err
	}
	return Footprint{USS: m.USSBytes, PSS: m.PSSBytes, Swap: m.SwapBytes}, nil
}

// readSmaps reads the sums over all mappings. Kernel threads, zombies and kernels
// before 4.14 lack smaps_rollup but have smaps, which may be empty.
func (p *Process) readSmaps(op string) (*procfs.Smaps, error) {
	text, err := p.readAll(op, "smaps_rollup")
	if errors.Is(err, ErrUnsupported) || errors.Is(err, ErrZombie) {
		text, err = p.readAll(op, "smaps")
	}
	if err != nil {
		return nil, err
	}
	defer p.putBuffer(text)
	m := new(procfs.Smaps)
	if err := procfs.ParseSmaps(*text, m); err != nil {
		return nil, p.wrap(op, err)
	}
	return m, nil
}

// MemoryFullInfo combines MemoryInfo and Footprint.
type MemoryFullInfo struct {
	MemoryInfo
	Footprint
}

// MemoryFullInfo returns [Process.MemoryInfo] and [Process.Footprint] together. If
// only Footprint fails, as for processes of other users, the result has a valid
// MemoryInfo beside the error of Footprint.
//
// System calls: 5.
func (p *Process) MemoryFullInfo() (MemoryFullInfo, error) {
	const op = "memory full info"
	info, err := p.MemoryInfo()
	if err != nil {
		return MemoryFullInfo{}, p.withOperation(op, err)
	}
	footprint, err := p.Footprint()
	return MemoryFullInfo{info, footprint}, p.withOperation(op, err)
}

// MemoryKind selects a kind of memory use.
type MemoryKind int

// The kinds of memory use. The first ones are fields of [MemoryInfo], the others of
// the type in their comment.
const (
	MemoryRSS MemoryKind = iota
	MemoryVMS
	MemoryShared
	MemoryText
	MemoryData
	MemoryPeakRSS  // MemoryInfoEx
	MemoryPeakVMS  // MemoryInfoEx
	MemoryRSSAnon  // MemoryInfoEx
	MemoryRSSFile  // MemoryInfoEx
	MemoryRSSShmem // MemoryInfoEx
	MemorySwap     // MemoryInfoEx
	MemoryHugetlb  // MemoryInfoEx
	MemoryUSS      // Footprint
	MemoryPSS      // Footprint

	memoryKinds = int(iota)
)

// String returns the psutil name of the kind.
func (k MemoryKind) String() string {
	names := [memoryKinds]string{"rss", "vms", "shared", "text", "data", "peak_rss", "peak_vms", "rss_anon", "rss_file",
		"rss_shmem", "swap", "hugetlb", "uss", "pss"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("MemoryKind(%d)", int(k))
	}
	return names[k]
}

// ParseMemoryKind returns the kind with this psutil name, such as "rss".
func ParseMemoryKind(name string) (MemoryKind, error) {
	var names []string
	for k := range MemoryKind(memoryKinds) {
		if k.String() == name {
			return k, nil
		}
		names = append(names, k.String())
	}
	return 0, fmt.Errorf("process: memory kind %q: %w: want one of %s", name, ErrInvalid, strings.Join(names, ", "))
}

// MemoryPercent returns a kind of memory use in percent of the memory of the
// machine. It costs as much as the method that reads the kind, and one read of
// /proc/meminfo.
//
// System calls: 4, and those of the method that reads the kind.
func (p *Process) MemoryPercent(kind MemoryKind) (float64, error) {
	const op = "memory percent"
	if kind < 0 || int(kind) >= memoryKinds {
		return 0, p.invalid(op, "memory kind %d is not one of the constants", int(kind))
	}
	total, err := p.shared.table.system.memory()
	switch {
	case err != nil:
		return 0, p.wrap(op, err)
	case total == 0:
		return 0, p.wrap(op, ErrUnsupported)
	}
	bytes, err := p.memoryBytes(kind)
	if err != nil {
		return 0, p.withOperation(op, err)
	}
	return float64(bytes) / float64(total) * 100, nil
}

// memoryBytes reads one kind of memory use.
func (p *Process) memoryBytes(kind MemoryKind) (uint64, error) {
	switch {
	case kind <= MemoryData:
		m, err := p.MemoryInfo()
		return [...]uint64{m.RSS, m.VMS, m.Shared, m.Text, m.Data}[kind], err
	case kind <= MemoryHugetlb:
		m, err := p.MemoryInfoEx()
		return [...]uint64{m.PeakRSS, m.PeakVMS, m.RSSAnon, m.RSSFile, m.RSSShmem, m.Swap, m.Hugetlb}[kind-MemoryPeakRSS], err
	}
	m, err := p.Footprint()
	return [...]uint64{m.USS, m.PSS}[kind-MemoryUSS], err
}
