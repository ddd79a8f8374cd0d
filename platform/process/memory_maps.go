package process

import (
	"fmt"
	"strings"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A MemoryMap is one mapping, or the sum of all mappings of one path. Sizes are in
// bytes.
type MemoryMap struct {
	Start, End uint64 // addresses; 0 in a sum
	Perms      string // such as "r-xp"; "" in a sum
	Path       string // of a file; "[anon]" or another name in brackets if there is no file
	Deleted    bool   // the path no longer leads to the file
	Offset     uint64 // in the file; 0 in a sum
	Inode      uint64 // of the file

	Size, RSS, PSS             uint64
	SharedClean, SharedDirty   uint64
	PrivateClean, PrivateDirty uint64
	Referenced, Anonymous      uint64
	Swap                       uint64
}

// MemoryMaps returns the mappings of the process, ascending by address. A kernel
// thread has none. It reads /proc/PID/smaps, with the cost and the permissions of
// [Process.Footprint]. Its psutil counterpart is memory_maps(grouped=False).
//
// System calls: 2, and 1 per page of text.
func (p *Process) MemoryMaps() ([]MemoryMap, error) {
	const op = "memory maps"
	list, err := p.mappings(op)
	if err != nil {
		return nil, err
	}
	maps := make([]MemoryMap, len(list))
	seen := make(map[string]string) // display paths by kernel path
	for i := range list {
		maps[i] = p.memoryMap(&list[i], seen)
	}
	return maps, nil
}

// MemoryMapsByPath returns the sum of the mappings of each path, in the order of
// their first mapping. Its psutil counterpart is memory_maps(grouped=True).
//
// System calls: as [Process.MemoryMaps].
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

// mergePaths joins the sums of a path and of its deleted file, as psutil does. A
// library that was replaced while in use has one row.
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

// mappings reads /proc/PID/smaps.
func (p *Process) mappings(op string) ([]procfs.Mapping, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) ([]procfs.Mapping, error) { return p.mappings(op) })
	}
	text, err := p.readAll(op, "smaps")
	if err != nil {
		return nil, err
	}
	defer p.putBuffer(text)
	if len(*text) == 0 {
		return nil, p.checkZombie(op)
	}
	list, err := procfs.AppendMappings(nil, *text)
	if err != nil {
		return nil, p.wrap(op, err)
	}
	return list, nil
}

// memoryMap converts a mapping and shortens its path for display. seen caches the
// display paths.
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

// Addresses returns the address range in the format of /proc/PID/maps.
func (m *MemoryMap) Addresses() string { return fmt.Sprintf("%08x-%08x", m.Start, m.End) }
