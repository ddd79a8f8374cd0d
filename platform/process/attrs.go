package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// An Attr names an attribute of a [Process], by the name of its psutil method if
// there is one.
type Attr string

// The attributes, in the order of [Attrs]. A constant is named after the method of Process that
// returns its value. The attributes of relatives are PIDs.
const (
	AttrPID              Attr = "pid"              // int
	AttrPPID             Attr = "ppid"             // int
	AttrName             Attr = "name"             // string
	AttrStatus           Attr = "status"           // Status
	AttrCreateTime       Attr = "create_time"      // time.Time
	AttrExe              Attr = "exe"              // string
	AttrCmdline          Attr = "cmdline"          // []string
	AttrCwd              Attr = "cwd"              // string
	AttrEnviron          Attr = "environ"          // map[string]string
	AttrUsername         Attr = "username"         // string
	AttrUIDs             Attr = "uids"             // CredentialIDs
	AttrGIDs             Attr = "gids"             // CredentialIDs
	AttrTerminal         Attr = "terminal"         // string
	AttrNice             Attr = "nice"             // int
	AttrIONice           Attr = "ionice"           // IOPriority
	AttrCPUAffinity      Attr = "cpu_affinity"     // []int
	AttrCPUNum           Attr = "cpu_num"          // int
	AttrCPUTimes         Attr = "cpu_times"        // CPUTimes
	AttrCPUPercent       Attr = "cpu_percent"      // float64
	AttrNumThreads       Attr = "num_threads"      // int
	AttrThreads          Attr = "threads"          // []Thread
	AttrContextSwitches  Attr = "num_ctx_switches" // ContextSwitches
	AttrPageFaults       Attr = "page_faults"      // PageFaults
	AttrMemoryInfo       Attr = "memory_info"      // MemoryInfo
	AttrMemoryInfoEx     Attr = "memory_info_ex"   // MemoryInfoEx
	AttrMemoryPercent    Attr = "memory_percent"   // float64, of MemoryRSS
	AttrFootprint        Attr = "memory_footprint" // Footprint
	AttrMemoryMapsByPath Attr = "memory_maps"      // []MemoryMap, by path
	AttrIOCounters       Attr = "io_counters"      // IOCounters
	AttrNumFDs           Attr = "num_fds"          // int
	AttrNumHandles       Attr = "num_handles"      // only on Windows
	AttrOpenFiles        Attr = "open_files"       // []OpenFile
	AttrConnections      Attr = "net_connections"  // []Connection

	// AsMap reads these only if they are named, as psutil's as_dict does, or
	// because psutil does not have them.
	AttrParent                 Attr = "parent"                   // int, 0 without a parent
	AttrParents                Attr = "parents"                  // []int
	AttrChildren               Attr = "children"                 // []int; lists every process
	AttrDescendants            Attr = "children_recursive"       // []int; lists every process
	AttrMemoryFullInfo         Attr = "memory_full_info"         // MemoryFullInfo
	AttrMemoryMaps             Attr = "memory_maps_ext"          // []MemoryMap, by address
	AttrThreadsContextSwitches Attr = "num_ctx_switches_threads" // ContextSwitches
	AttrRlimits                Attr = "rlimits"                  // map[Resource]Limit
	AttrIsRunning              Attr = "is_running"               // bool
)

// An attribute is one row of the attribute table.
type attribute struct {
	name Attr
	use  attributeUse
	read func(*Process) (any, error)
}

// An attributeUse states when AsMap reads an attribute.
type attributeUse int

const (
	byDefault    attributeUse = iota
	onRequest                 // only if named
	otherSystems              // never: this system does not have it
)

// row returns the row that reads an attribute with a method.
func row[T any](name Attr, use attributeUse, method func(*Process) (T, error)) attribute {
	return attribute{name, use, func(p *Process) (any, error) {
		v, err := method(p)
		if err != nil {
			return nil, p.withOperation(strings.ReplaceAll(string(name), "_", " "), err)
		}
		return v, nil
	}}
}

// attributes returns the attribute table in the order of Attrs.
func attributes() []attribute {
	return []attribute{
		row(AttrPID, byDefault, func(p *Process) (int, error) { return p.PID(), nil }),
		row(AttrPPID, byDefault, (*Process).PPID),
		row(AttrName, byDefault, (*Process).Name),
		row(AttrStatus, byDefault, (*Process).Status),
		row(AttrCreateTime, byDefault, (*Process).CreateTime),
		row(AttrExe, byDefault, (*Process).Exe),
		row(AttrCmdline, byDefault, (*Process).Cmdline),
		row(AttrCwd, byDefault, (*Process).Cwd),
		row(AttrEnviron, byDefault, (*Process).Environ),
		row(AttrUsername, byDefault, (*Process).Username),
		row(AttrUIDs, byDefault, (*Process).UIDs),
		row(AttrGIDs, byDefault, (*Process).GIDs),
		row(AttrTerminal, byDefault, (*Process).Terminal),
		row(AttrNice, byDefault, (*Process).Nice),
		row(AttrIONice, byDefault, (*Process).IONice),
		row(AttrCPUAffinity, byDefault, (*Process).CPUAffinity),
		row(AttrCPUNum, byDefault, (*Process).CPUNum),
		row(AttrCPUTimes, byDefault, (*Process).CPUTimes),
		row(AttrCPUPercent, byDefault, (*Process).CPUPercent),
		row(AttrNumThreads, byDefault, (*Process).NumThreads),
		row(AttrThreads, byDefault, (*Process).Threads),
		row(AttrContextSwitches, byDefault, (*Process).ContextSwitches),
		row(AttrPageFaults, byDefault, (*Process).PageFaults),
		row(AttrMemoryInfo, byDefault, (*Process).MemoryInfo),
		row(AttrMemoryInfoEx, byDefault, (*Process).MemoryInfoEx),
		row(AttrMemoryPercent, byDefault, func(p *Process) (float64, error) { return p.MemoryPercent(MemoryRSS) }),
		row(AttrFootprint, byDefault, (*Process).Footprint),
		row(AttrMemoryMapsByPath, byDefault, (*Process).MemoryMapsByPath),
		row(AttrIOCounters, byDefault, (*Process).IOCounters),
		row(AttrNumFDs, byDefault, (*Process).NumFDs),
		row(AttrNumHandles, otherSystems, (*Process).NumHandles),
		row(AttrOpenFiles, byDefault, (*Process).OpenFiles),
		row(AttrConnections, byDefault, func(p *Process) ([]Connection, error) { return p.Connections(ConnectionAll) }),
		row(AttrParent, onRequest, (*Process).parentPID),
		row(AttrParents, onRequest, (*Process).ParentPIDs),
		row(AttrChildren, onRequest, (*Process).ChildPIDs),
		row(AttrDescendants, onRequest, (*Process).DescendantPIDs),
		row(AttrMemoryFullInfo, onRequest, (*Process).MemoryFullInfo),
		row(AttrMemoryMaps, onRequest, (*Process).MemoryMaps),
		row(AttrThreadsContextSwitches, onRequest, (*Process).ThreadsContextSwitches),
		row(AttrRlimits, onRequest, (*Process).Rlimits),
		row(AttrIsRunning, onRequest, func(p *Process) (bool, error) { return p.Running(), nil }),
	}
}

// Attrs returns the names of all attributes that this operating system has. AsMap
// reads some of them only if they are named.
func Attrs() []Attr {
	var names []Attr
	for _, a := range attributes() {
		if a.use != otherSystems {
			names = append(names, a.name)
		}
	}
	return names
}

// Attr reads one attribute. The value has the type in the comment of the constant:
// that of [AttrMemoryInfo] is a [MemoryInfo]. An error has the attribute as its Op.
// An unknown name is an error that matches [ErrInvalid], and the name of an
// attribute of another operating system is one that matches [ErrUnsupported].
func (p *Process) Attr(name Attr) (any, error) {
	rows, err := p.selectAttributes(name)
	if err != nil {
		return nil, err
	}
	return rows[0].read(p)
}

// AsMap reads attributes through one view: see [Process.Oneshot]. A value has the type
// in the comment of its constant:
//
//	m, err := p.AsMap(nil, process.AttrName, process.AttrMemoryInfo)
//	if memory, ok := m[process.AttrMemoryInfo].(process.MemoryInfo); ok {
//		fmt.Println(m[process.AttrName], memory.RSS)
//	}
//
// Without names it reads those of psutil's as_dict, which does not include relatives.
// An attribute that fails with [ErrAccessDenied], [ErrZombie] or [ErrTooLarge] has the
// value fallback, so AsMap never returns these errors. An attribute that this kernel
// lacks is omitted, or an error if it is named. A process that is gone is an error. An
// error has the attribute as its Op, such as "memory info". Its psutil counterpart is
// as_dict.
//
// System calls: about 80 without names, for a process with few files and threads.
func (p *Process) AsMap(fallback any, names ...Attr) (map[Attr]any, error) {
	rows, err := p.selectAttributes(names...)
	if err != nil {
		return nil, err
	}
	named := len(names) > 0
	view := p.Oneshot()
	all := make(map[Attr]any, len(rows))
	for _, a := range rows {
		value, err := a.read(view)
		switch {
		case err == nil:
			all[a.name] = value
		case errors.Is(err, ErrAccessDenied), errors.Is(err, ErrZombie), errors.Is(err, ErrTooLarge):
			all[a.name] = fallback
		case errors.Is(err, ErrUnsupported) && !named:
		default:
			return nil, err
		}
	}
	return all, nil
}

// selectAttributes returns the rows of names, in their order. Without names it
// returns the rows that AsMap reads by default.
func (p *Process) selectAttributes(names ...Attr) ([]attribute, error) {
	const op = "read attributes"
	table := attributes()
	var selected []attribute
	byName := make(map[Attr]attribute, len(table))
	for _, a := range table {
		byName[a.name] = a
		if len(names) == 0 && a.use == byDefault {
			selected = append(selected, a)
		}
	}
	for _, name := range names {
		a, ok := byName[name]
		if !ok {
			return nil, p.wrap(op, because(ErrInvalid, fmt.Sprintf("unknown attribute %q%s", name, suggestion(table, name))))
		}
		if a.use == otherSystems {
			return nil, p.wrap(op, because(ErrUnsupported, fmt.Sprintf("only Windows has the attribute %q", name)))
		}
		selected = append(selected, a)
	}
	return selected, nil
}

// suggestion returns the attributes whose names contain an unknown name, as text.
func suggestion(table []attribute, unknown Attr) string {
	var similar []string
	for _, a := range table {
		if unknown != "" && strings.Contains(string(a.name), string(unknown)) {
			similar = append(similar, strconv.Quote(string(a.name)))
		}
	}
	if len(similar) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(similar, " or ") + "?)"
}

// Rlimits returns the limits of all resources that the kernel has.
//
// System calls: 32.
func (p *Process) Rlimits() (map[Resource]Limit, error) {
	limits := make(map[Resource]Limit)
	for _, r := range Resources() {
		limit, err := p.Rlimit(r)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			return nil, p.withOperation("rlimits", err)
		}
		limits[r] = limit
	}
	return limits, nil
}
