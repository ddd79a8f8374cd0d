package process

import (
	"errors"
	"fmt"
)

// An Attr names a value of a [Process], by the name of its psutil method if there
// is one.
type Attr string

// An attribute is one row of the attribute table.
type attribute struct {
	name Attr
	read func(*Process) (any, error)
}

// row returns the row that reads an attribute with a method.
func row[T any](name Attr, method func(*Process) (T, error)) attribute {
	return attribute{name, func(p *Process) (any, error) {
		v, err := method(p)
		if err != nil {
			return nil, err
		}
		return v, nil
	}}
}

// attributes returns the attribute table in the order of Attrs.
func attributes() []attribute {
	return []attribute{
		row("pid", func(p *Process) (int, error) { return p.PID(), nil }),
		row("ppid", (*Process).PPID),
		row("name", (*Process).Name),
		row("status", (*Process).Status),
		row("create_time", (*Process).CreateTime),
		row("exe", (*Process).Exe),
		row("cmdline", (*Process).Cmdline),
		row("cwd", (*Process).Cwd),
		row("environ", (*Process).Environ),
		row("username", (*Process).Username),
		row("uids", (*Process).UIDs),
		row("gids", (*Process).GIDs),
		row("terminal", (*Process).Terminal),
		row("nice", (*Process).Nice),
		row("ionice", (*Process).IONice),
		row("cpu_affinity", (*Process).CPUAffinity),
		row("cpu_num", (*Process).CPUNum),
		row("cpu_times", (*Process).CPUTimes),
		row("cpu_percent", (*Process).CPUPercent),
		row("num_threads", (*Process).NumThreads),
		row("threads", (*Process).Threads),
		row("num_ctx_switches", (*Process).ContextSwitches),
		row("num_ctx_switches_threads", (*Process).ThreadsContextSwitches),
		row("page_faults", (*Process).PageFaults),
		row("memory_info", (*Process).MemoryInfo),
		row("memory_info_ex", (*Process).MemoryInfoEx),
		row("memory_percent", func(p *Process) (float64, error) { return p.MemoryPercent(MemoryRSS) }),
		row("memory_footprint", (*Process).Footprint),
		row("memory_full_info", (*Process).MemoryFullInfo),
		row("memory_maps", (*Process).MemoryMapsByPath),
		row("memory_maps_ext", (*Process).MemoryMaps),
		row("io_counters", (*Process).IOCounters),
		row("num_fds", (*Process).NumFDs),
		row("num_handles", (*Process).NumHandles),
		row("open_files", (*Process).OpenFiles),
		row("net_connections", func(p *Process) ([]Connection, error) { return p.Connections(ConnectionAll) }),
		row("rlimits", (*Process).Rlimits),
		row("parent", (*Process).parentPID),
		row("parents", func(p *Process) ([]int, error) { return pidsOf(p.Parents()) }),
		row("children", func(p *Process) ([]int, error) { return pidsOf(p.Children()) }),
		row("children_recursive", func(p *Process) ([]int, error) { return pidsOf(p.Descendants()) }),
		row("is_running", func(p *Process) (bool, error) { return p.Running(), nil }),
	}
}

// Attrs returns the names of all attributes.
func Attrs() []Attr {
	var names []Attr
	for _, a := range attributes() {
		names = append(names, a.name)
	}
	return names
}

// Attr reads one attribute. The value has the result type of the method. Relatives
// are PIDs; the parent of a process without one is 0. An unknown name is an error
// that matches [ErrInvalid].
func (p *Process) Attr(name Attr) (any, error) {
	for _, a := range attributes() {
		if a.name == name {
			return a.read(p)
		}
	}
	return nil, p.wrap(fmt.Sprintf("attribute %q", name), ErrInvalid)
}

// AsMap reads attributes with [Process.Oneshot]: those named, or all. An attribute
// that fails with [ErrAccessDenied], [ErrZombie] or [ErrTooLarge] has the value
// denied. Without names AsMap omits unsupported attributes; a named one is an
// error, and so is a process that is gone. Its psutil counterpart is as_dict.
func (p *Process) AsMap(denied any, names ...Attr) (map[Attr]any, error) {
	named := len(names) > 0
	if !named {
		names = Attrs()
	}
	view := p.Oneshot()
	all := make(map[Attr]any, len(names))
	for _, name := range names {
		value, err := view.Attr(name)
		switch {
		case err == nil:
			all[name] = value
		case errors.Is(err, ErrAccessDenied), errors.Is(err, ErrZombie), errors.Is(err, ErrTooLarge):
			all[name] = denied
		case errors.Is(err, ErrUnsupported) && !named:
		default:
			return nil, err
		}
	}
	return all, nil
}

// Rlimits returns the limits of all resources that the kernel has.
func (p *Process) Rlimits() (map[Resource]Limit, error) {
	limits := make(map[Resource]Limit)
	for _, r := range Resources() {
		limit, err := p.Rlimit(r)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			return nil, err
		}
		limits[r] = limit
	}
	return limits, nil
}

func (p *Process) parentPID() (int, error) {
	parent, err := p.Parent()
	if err != nil || parent == nil {
		return 0, err
	}
	return parent.PID(), parent.Close()
}

// pidsOf closes processes and returns their PIDs.
func pidsOf(all []*Process, err error) ([]int, error) {
	if err != nil {
		return nil, err
	}
	pids := make([]int, len(all))
	for i, p := range all {
		pids[i] = p.PID()
	}
	CloseAll(all)
	return pids, nil
}
