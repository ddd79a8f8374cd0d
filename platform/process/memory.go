package process

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed57308aee/process_exporter/procfs"
)

// MemoryInfo is the memory of a process in bytes. Kernel threads and zombies
// have none.
type MemoryInfo struct {
	RSS    uint64 // in memory
	VMS    uint64 // in the address space
	Shared uint64 // of RSS, files and shared memory
	Text   uint64 // of VMS, programs
	Data   uint64 // of VMS, data and stack
}

// MemoryInfo returns the memory of the process. It is cheap; RSS may lag behind
// by some pages for each CPU.
func (p *Process) MemoryInfo() (MemoryInfo, error) {
	m, err := p.statm("memory info")
	if err != nil {
		return MemoryInfo{}, err
	}
	page := p.shared.table.system.pageBytes()
	return MemoryInfo{
		RSS: m.Resident * page, VMS: m.Size * page, Shared: m.Shared * page, Text: m.Text * page, Data: m.Data * page,
	}, nil
}

// MemoryInfoEx is more of the memory of a process in bytes. What an older
// kernel does not tell is 0.
type MemoryInfoEx struct {
	PeakRSS, PeakVMS           uint64
	RSSAnon, RSSFile, RSSShmem uint64 // parts of RSS
	Swap                       uint64
	Hugetlb                    uint64 // not part of RSS
}

// MemoryInfoEx returns more of the memory of the process. It is as cheap as
// [Process.MemoryInfo].
func (p *Process) MemoryInfoEx() (MemoryInfoEx, error) {
	st, err := p.status("memory info ex")
	if err != nil {
		return MemoryInfoEx{}, err
	}
	return MemoryInfoEx{
		PeakRSS: st.PeakResidentBytes, PeakVMS: st.PeakVirtualBytes,
		RSSAnon: st.ResidentAnonBytes, RSSFile: st.ResidentFileBytes, RSSShmem: st.ResidentShmemBytes,
		Swap: st.SwapBytes, Hugetlb: st.HugetlbBytes,
	}, nil
}

// Footprint is what a process alone costs, in bytes.
type Footprint struct {
	USS  uint64 // freed if the process exited: in memory, and of no other process
	PSS  uint64 // in memory, each page divided by the number of processes that share it
	Swap uint64
}

// Footprint returns what the process alone costs. The kernel walks all of its
// memory for this and keeps it from mapping more meanwhile: a process of many
// gigabytes stands still for seconds.
func (p *Process) Footprint() (Footprint, error) {
	const op = "footprint"
	var slot *kept[procfs.Smaps]
	if p.once != nil {
		slot = &p.once.smaps
	}
	m, err := slot.get(func() (*procfs.Smaps, error) { return p.readSmaps(op) })
	if err != nil {
		return Footprint{}, err
	}
	return Footprint{USS: m.USSBytes, PSS: m.PSSBytes, Swap: m.SwapBytes}, nil
}

// readSmaps reads the sums of smaps. Kernel threads, zombies and old kernels
// have no file with the sums, but one with the mappings, if only an empty one.
func (p *Process) readSmaps(op string) (*procfs.Smaps, error) {
	text, err := p.wholeText(op, "smaps_rollup")
	if errors.Is(err, ErrUnsupported) || errors.Is(err, ErrZombie) {
		text, err = p.wholeText(op, "smaps")
	}
	if err != nil {
		return nil, err
	}
	defer p.done(text)
	m := new(procfs.Smaps)
	if err := procfs.ParseSmaps(*text, m); err != nil {
		return nil, p.failure(op, err)
	}
	return m, nil
}

// MemoryFullInfo is both.
type MemoryFullInfo struct {
	MemoryInfo
	Footprint
}

// MemoryFullInfo returns what [Process.MemoryInfo] and [Process.Footprint] do.
func (p *Process) MemoryFullInfo() (MemoryFullInfo, error) {
	cheap, err := p.MemoryInfo()
	if err != nil {
		return MemoryFullInfo{}, err
	}
	costly, err := p.Footprint()
	return MemoryFullInfo{cheap, costly}, err
}

// MemoryKind names a field of [MemoryFullInfo].
type MemoryKind int

// The fields of [MemoryFullInfo].
const (
	MemoryRSS MemoryKind = iota
	MemoryVMS
	MemoryShared
	MemoryText
	MemoryData
	MemoryUSS
	MemoryPSS
	MemorySwap
)

// String returns the name that psutil uses.
func (k MemoryKind) String() string {
	names := [...]string{"rss", "vms", "shared", "text", "data", "uss", "pss", "swap"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("MemoryKind(%d)", int(k))
	}
	return names[k]
}

// MemoryPercent returns how much of the machine's memory that kind of memory is.
func (p *Process) MemoryPercent(kind MemoryKind) (float64, error) {
	const op = "memory percent"
	if kind < MemoryRSS || kind > MemorySwap {
		return 0, p.failure(op, ErrInvalid)
	}
	total, err := p.shared.table.MemoryBytes()
	if err != nil || total == 0 {
		return 0, p.failure(op, ErrUnsupported)
	}
	var m MemoryFullInfo
	if kind < MemoryUSS {
		m.MemoryInfo, err = p.MemoryInfo()
	} else {
		m.Footprint, err = p.Footprint()
	}
	if err != nil {
		return 0, err
	}
	bytes := [...]uint64{m.RSS, m.VMS, m.Shared, m.Text, m.Data, m.USS, m.PSS, m.Swap}[kind]
	return float64(bytes) / float64(total) * 100, nil
}

// A MemoryMap is a range of addresses, or all ranges of one path, and what of
// it is in memory. Sizes are in bytes.
type MemoryMap struct {
	Start, End uint64 // addresses; 0 in a sum
	Perms      string // such as "r-xp"; "" in a sum
	Path       string // of a file, "[anon]" for none, or another name in brackets
	Deleted    bool   // the file no longer has that path
	Offset     uint64 // in the file; 0 in a sum
	Inode      uint64 // of the file

	Size, RSS, PSS             uint64
	SharedClean, SharedDirty   uint64
	PrivateClean, PrivateDirty uint64
	Referenced, Anonymous      uint64
	Swap                       uint64
}

// MemoryMaps returns the mappings of the process by ascending address. It costs
// as much as [Process.Footprint]. A kernel thread has none.
func (p *Process) MemoryMaps() ([]MemoryMap, error) {
	const op = "memory maps"
	list, err := p.mappings(op)
	if err != nil {
		return nil, err
	}
	maps := make([]MemoryMap, len(list))
	seen := make(map[string]string) // each path is looked up once
	for i := range list {
		maps[i] = p.memoryMap(&list[i], seen)
	}
	return maps, nil
}

// MemoryMapsByPath returns the sums of the mappings of each path, in the order
// in which the paths come first.
func (p *Process) MemoryMapsByPath() ([]MemoryMap, error) {
	const op = "memory maps"
	list, err := p.mappings(op)
	if err != nil {
		return nil, err
	}
	var sums []procfs.Mapping
	at := make(map[string]int)
	for i := range list {
		m := &list[i]
		k, ok := at[m.Path]
		if !ok {
			k = len(sums)
			at[m.Path] = k
			sums = append(sums, procfs.Mapping{Path: m.Path, Inode: m.Inode})
		}
		sums[k].Add(m)
	}
	return mergePaths(p, sums), nil
}

// mergePaths joins sums whose paths differ only in that one is deleted, as
// psutil does: a library that was replaced is one line while it is in use.
func mergePaths(p *Process, sums []procfs.Mapping) []MemoryMap {
	seen := make(map[string]string)
	at := make(map[string]int)
	var merged []procfs.Mapping
	var deleted []bool
	for i := range sums {
		m := p.memoryMap(&sums[i], seen)
		if k, ok := at[m.Path]; ok {
			merged[k].Add(&sums[i])
			continue
		}
		at[m.Path] = len(merged)
		merged = append(merged, sums[i])
		deleted = append(deleted, m.Deleted)
	}
	maps := make([]MemoryMap, len(merged))
	for i := range merged {
		maps[i] = p.memoryMap(&merged[i], seen)
		maps[i].Deleted = deleted[i]
	}
	return maps
}

// mappings reads smaps.
func (p *Process) mappings(op string) ([]procfs.Mapping, error) {
	text, err := p.wholeText(op, "smaps")
	if err != nil {
		return nil, err
	}
	defer p.done(text)
	if len(*text) == 0 {
		return nil, p.notZombie(op)
	}
	list, err := procfs.AppendMappings(nil, *text)
	if err != nil {
		return nil, p.failure(op, err)
	}
	return list, nil
}

// memoryMap gives a mapping the path that users know. seen keeps the answers.
func (p *Process) memoryMap(m *procfs.Mapping, seen map[string]string) MemoryMap {
	name, ok := seen[m.Path]
	if !ok {
		name = m.Path
		if short, marked := strings.CutSuffix(name, " (deleted)"); marked && !p.shared.table.system.exists(name) {
			name = short
		}
		if name == "" {
			name = "[anon]"
		}
		seen[m.Path] = name
	}
	return MemoryMap{
		Start: m.Start, End: m.End, Perms: m.Perms, Path: name, Deleted: len(name) < len(m.Path),
		Offset: m.Offset, Inode: m.Inode, Size: m.SizeBytes, RSS: m.RSSBytes, PSS: m.PSSBytes,
		SharedClean: m.SharedCleanBytes, SharedDirty: m.SharedDirtyBytes,
		PrivateClean: m.PrivateCleanBytes, PrivateDirty: m.PrivateDirtyBytes,
		Referenced: m.ReferencedBytes, Anonymous: m.AnonymousBytes, Swap: m.SwapBytes,
	}
}

// Addresses returns the range as the kernel prints it.
func (m *MemoryMap) Addresses() string { return fmt.Sprintf("%08x-%08x", m.Start, m.End) }
