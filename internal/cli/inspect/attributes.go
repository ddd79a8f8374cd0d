package inspect

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// An attribute is one row of a report, in the order of reports.
type attribute struct {
	name    process.Attr
	section string        // of the text report; "" omits the row there
	convert func(any) any // from the value of the attribute to the printed value
}

// An object is a JSON object with ordered members.
type object []member

type member struct {
	name  string
	value any
}

func unchanged(v any) any { return v }

// attributes returns the table of all attributes of a report.
func attributes() []attribute {
	return []attribute{
		{process.AttrPID, "process", unchanged},
		{process.AttrName, "process", unchanged},
		{process.AttrStatus, "process", func(v any) any { return v.(process.Status).String() }},
		{process.AttrIsRunning, "", unchanged},
		{process.AttrCreateTime, "process", createTime},
		{process.AttrExe, "process", unchanged},
		{process.AttrCmdline, "process", unchanged},
		{process.AttrCwd, "process", unchanged},
		{process.AttrTerminal, "process", orNull[string]},
		{process.AttrUsername, "owner", unchanged},
		{process.AttrUIDs, "owner", credentialIDs},
		{process.AttrGIDs, "owner", credentialIDs},
		{process.AttrPPID, "family", unchanged},
		{process.AttrParent, "", orNull[int]},
		{process.AttrParents, "family", unchanged},
		{process.AttrChildren, "family", unchanged},
		{process.AttrDescendants, "", unchanged},
		{process.AttrCPUPercent, "cpu", unchanged},
		{process.AttrCPUTimes, "cpu", cpuTimes},
		{process.AttrCPUAffinity, "cpu", unchanged},
		{process.AttrCPUNum, "cpu", unchanged},
		{process.AttrNice, "cpu", unchanged},
		{process.AttrContextSwitches, "cpu", switches},
		{process.AttrThreadsContextSwitches, "", switches},
		{process.AttrMemoryInfo, "memory", memoryInfo},
		{process.AttrMemoryInfoEx, "memory", memoryInfoEx},
		{process.AttrFootprint, "memory", footprint},
		{process.AttrMemoryFullInfo, "", memoryFullInfo},
		{process.AttrMemoryPercent, "memory", unchanged},
		{process.AttrPageFaults, "memory", pageFaults},
		{process.AttrMemoryMapsByPath, "", mapsByPath},
		{process.AttrMemoryMaps, "", mapsByAddress},
		{process.AttrIOCounters, "storage", ioCounters},
		{process.AttrIONice, "storage", ioNice},
		{process.AttrNumThreads, "threads", unchanged},
		{process.AttrThreads, "threads", threads},
		{process.AttrNumFDs, "files", unchanged},
		{process.AttrOpenFiles, "files", openFiles},
		{process.AttrConnections, "connections", connections},
		{process.AttrRlimits, "limits", rlimits},
		{process.AttrEnviron, "environment", environ},
	}
}

// Attrs returns the names of all attributes.
func Attrs() []string {
	var names []string
	for _, a := range attributes() {
		names = append(names, string(a.name))
	}
	return names
}

// orNull returns nil in place of the zero value.
func orNull[T comparable](v any) any {
	var zero T
	if v.(T) == zero {
		return nil
	}
	return v
}

// createTime returns seconds with two decimals, the resolution of the kernel.
func createTime(v any) any {
	t := v.(time.Time)
	return math.Round(float64(t.Unix())*100+float64(t.Nanosecond())/1e7) / 100
}

func credentialIDs(v any) any {
	o := v.(process.CredentialIDs)
	return object{{"real", o.Real}, {"effective", o.Effective}, {"saved", o.Saved}}
}

func cpuTimes(v any) any {
	t := v.(process.CPUTimes)
	return object{
		{"user", t.User.Seconds()}, {"system", t.System.Seconds()},
		{"children_user", t.ChildrenUser.Seconds()}, {"children_system", t.ChildrenSystem.Seconds()},
		{"iowait", t.IOWait.Seconds()},
	}
}

func switches(v any) any {
	s := v.(process.ContextSwitches)
	return object{{"voluntary", s.Voluntary}, {"involuntary", s.Involuntary}}
}

func memoryInfo(v any) any { return memoryFields(v.(process.MemoryInfo)) }

func memoryFields(m process.MemoryInfo) object {
	return object{{"rss", m.RSS}, {"vms", m.VMS}, {"shared", m.Shared}, {"text", m.Text}, {"data", m.Data}}
}

func memoryInfoEx(v any) any {
	m := v.(process.MemoryInfoEx)
	return append(memoryFields(m.MemoryInfo), memoryExFields(m)...)
}

func memoryExFields(m process.MemoryInfoEx) object {
	return object{
		{"peak_rss", m.PeakRSS}, {"peak_vms", m.PeakVMS}, {"rss_anon", m.RSSAnon}, {"rss_file", m.RSSFile},
		{"rss_shmem", m.RSSShmem}, {"swap", m.Swap}, {"hugetlb", m.Hugetlb},
	}
}

func footprint(v any) any { return footprintFields(v.(process.Footprint)) }

func footprintFields(f process.Footprint) object {
	return object{{"uss", f.USS}, {"pss", f.PSS}, {"swap", f.Swap}}
}

func memoryFullInfo(v any) any {
	m := v.(process.MemoryFullInfo)
	return append(memoryFields(m.MemoryInfo), footprintFields(m.Footprint)...)
}

func pageFaults(v any) any {
	f := v.(process.PageFaults)
	return object{{"minor", f.Minor}, {"major", f.Major}}
}

func mapSizes(m *process.MemoryMap) object {
	return object{
		{"rss", m.RSS}, {"size", m.Size}, {"pss", m.PSS}, {"shared_clean", m.SharedClean}, {"shared_dirty", m.SharedDirty},
		{"private_clean", m.PrivateClean}, {"private_dirty", m.PrivateDirty}, {"referenced", m.Referenced},
		{"anonymous", m.Anonymous}, {"swap", m.Swap},
	}
}

func mapsByPath(v any) any {
	maps := slices.Clone(v.([]process.MemoryMap))
	slices.SortFunc(maps, func(a, b process.MemoryMap) int { return strings.Compare(a.Path, b.Path) })
	list := []any{}
	for i := range maps {
		list = append(list, append(object{{"path", maps[i].Path}}, mapSizes(&maps[i])...))
	}
	return list
}

func mapsByAddress(v any) any {
	list := []any{}
	for _, m := range v.([]process.MemoryMap) {
		list = append(list, append(object{{"addr", m.Addresses()}, {"perms", m.Perms}, {"path", m.Path}}, mapSizes(&m)...))
	}
	return list
}

func ioCounters(v any) any {
	c := v.(process.IOCounters)
	return object{
		{"read_count", c.ReadCount}, {"write_count", c.WriteCount}, {"read_bytes", c.ReadBytes},
		{"write_bytes", c.WriteBytes}, {"read_chars", c.ReadChars}, {"write_chars", c.WriteChars},
	}
}

func ioNice(v any) any {
	p := v.(process.IOPriority)
	return object{{"ioclass", int(p.Class)}, {"value", p.Level}}
}

func threads(v any) any {
	list := []any{}
	for _, t := range v.([]process.Thread) {
		list = append(list, object{{"id", t.TID}, {"user_time", t.User.Seconds()}, {"system_time", t.System.Seconds()}})
	}
	return list
}

// openFiles omits deleted files, as psutil does, because they have no path.
func openFiles(v any) any {
	list := []any{}
	for _, f := range v.([]process.OpenFile) {
		if !f.Deleted {
			list = append(list, object{
				{"path", f.Path}, {"fd", f.FD}, {"position", f.Position}, {"mode", f.Mode}, {"flags", f.Flags},
			})
		}
	}
	return list
}

// The address families of socket(2), in the output of psutil.
const (
	familyUnix  = 1
	familyInet  = 2
	familyInet6 = 10
)

func connections(v any) any {
	list := []any{}
	for _, c := range v.([]process.Connection) {
		family := familyInet
		var local, remote any = endpoint(c.Local), endpoint(c.Remote)
		switch {
		case c.Kind == process.ConnectionUnix:
			family, local, remote = familyUnix, c.Path, ""
		case c.Kind&process.ConnectionInet6 != 0:
			family = familyInet6
		}
		list = append(list, object{
			{"fd", c.FD}, {"family", family}, {"type", c.Type}, {"laddr", local}, {"raddr", remote},
			{"status", c.Status.String()},
		})
	}
	sortByPythonJSON(list)
	return list
}

func endpoint(a netip.AddrPort) []any {
	if !a.IsValid() {
		return []any{}
	}
	return []any{a.Addr().String(), int(a.Port())}
}

// rlimits returns -1 for no limit, as psutil does.
func rlimits(v any) any {
	limits := v.(map[process.Resource]process.Limit)
	var list object
	number := func(n uint64) any {
		if n == process.Unlimited {
			return -1
		}
		return n
	}
	for _, r := range process.Resources() {
		if l, ok := limits[r]; ok {
			list = append(list, member{r.String(), []any{number(l.Soft), number(l.Hard)}})
		}
	}
	return list
}

func environ(v any) any {
	list := object{}
	vars := v.(map[string]string)
	for name, value := range vars {
		list = append(list, member{name, value})
	}
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return list
}
