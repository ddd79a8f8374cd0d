package procfs

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// facts are what a parser understood, by what it is called.
type facts map[string]any

// A cutting is a parser and the captured texts that it reads, below each of the
// kernels' directories.
type cutting struct {
	name  string
	files []string
	parse func(text []byte) (facts, error)
}

// cuttings are all parsers whose text says where it ends, and so may be read in
// pieces. Those of words, cmdline and wchan, have a text that does not: their
// readers go on until nothing comes.
var cuttings = []cutting{
	{"ParseStat", []string{"stat", "zombie_stat", "kthread_stat"}, func(text []byte) (facts, error) {
		s := Stat{}
		err := ParseStat(text, &s)
		return facts{"": s}, err
	}},
	{"ParseStatus", []string{"status", "zombie_status", "kthread_status"}, func(text []byte) (facts, error) {
		s := Status{}
		err := ParseStatus(text, &s)
		return statusFacts(&s), err
	}},
	{"ParseStatusFields", []string{"status", "zombie_status", "kthread_status"}, func(text []byte) (facts, error) {
		s := Status{}
		err := ParseStatusFields(text, StatusUIDs|StatusSwap|StatusSwitches, &s)
		return statusFacts(&s), err
	}},
	{"ParseTGID", []string{"status"}, one(ParseTGID)},
	{"ParseIO", []string{"io"}, func(text []byte) (facts, error) {
		o := IO{}
		err := ParseIO(text, &o)
		return those(uint64(o.Have), o.ReadChars, o.WriteChars, o.ReadSyscalls, o.WriteSyscalls, o.ReadBytes, o.WriteBytes, o.CancelledWriteBytes), err
	}},
	{"ParseLimits", []string{"limits"}, func(text []byte) (facts, error) {
		l := Limits{}
		err := ParseLimits(text, &l)
		var all []any
		for k := range 16 {
			all = append(all, l.At(k))
		}
		return those(uint64(l.Have), all...), err
	}},
	{"ParseSmaps", []string{"smaps_rollup"}, func(text []byte) (facts, error) {
		s := Smaps{}
		err := ParseSmaps(text, &s)
		return those(uint64(s.Have), s.RSSBytes, s.PSSBytes, s.USSBytes, s.SwapBytes, s.SwapPSSBytes), err
	}},
	{"AppendMappings", []string{"smaps"}, each(AppendMappings)},
	{"ParseStatm", []string{"statm"}, func(text []byte) (facts, error) {
		s := Statm{}
		err := ParseStatm(text, &s)
		return facts{"": s}, err
	}},
	{"ParseSchedstat", []string{"schedstat"}, func(text []byte) (facts, error) {
		s := Schedstat{}
		err := ParseSchedstat(text, &s)
		return facts{"": s}, err
	}},
	{"ParseMeminfo", []string{"meminfo"}, func(text []byte) (facts, error) {
		m := Meminfo{}
		err := ParseMeminfo(text, &m)
		return those(uint64(m.Have), m.TotalBytes, m.FreeBytes, m.AvailableBytes, m.SwapTotalBytes, m.SwapFreeBytes), err
	}},
	{"ParseBootTime", []string{"host_stat"}, one(ParseBootTime)},
	{"ParseUptime", []string{"uptime"}, one(ParseUptime)},
	{"AppendCgroupPaths", []string{"cgroup"}, each(func(dst []string, text []byte) ([]string, error) {
		return AppendCgroupPaths(dst, text), nil
	})},
}

func one[T any](parse func([]byte) (T, error)) func([]byte) (facts, error) {
	return func(text []byte) (facts, error) {
		v, err := parse(text)
		return facts{"": v}, err
	}
}

// each numbers what is appended.
func each[T any](parse func([]T, []byte) ([]T, error)) func([]byte) (facts, error) {
	return func(text []byte) (facts, error) {
		list, err := parse(nil, text)
		all := make(facts)
		for i, v := range list {
			all[fmt.Sprint(i)] = v
		}
		return all, err
	}
}

// those returns the values whose bits are in a Have set, counted from its first.
func those[T any](have uint64, values ...T) facts {
	all := make(facts)
	for i, v := range values {
		if have>>i&1 != 0 {
			all[fmt.Sprint(i)] = v
		}
	}
	if have>>len(values) != 0 {
		all["a bit without a value"] = have
	}
	return all
}

func statusFacts(s *Status) facts {
	return those[any](uint64(s.Have), s.State, s.UIDs, s.GIDs, s.NSPIDs, s.Threads, s.PeakVirtualBytes, s.VirtualBytes,
		s.PeakResidentBytes, s.ResidentBytes, s.ResidentAnonBytes, s.ResidentFileBytes, s.ResidentShmemBytes, s.SwapBytes,
		s.HugetlbBytes, s.VoluntarySwitches, s.NonvoluntarySwitches)
}

// TestCuts reads every captured text cut at every position, as a file system
// hands it out that gives less than it is asked for. The answer is an error, or
// says of what it has the same as the whole text.
func TestCuts(t *testing.T) {
	for _, c := range cuttings {
		for _, file := range c.files {
			captured, err := filepath.Glob("testdata/linux-*/" + file)
			if err != nil || len(captured) == 0 {
				t.Fatalf("no %s: %v", file, err)
			}
			for _, name := range captured {
				name = strings.TrimPrefix(filepath.ToSlash(name), "testdata/")
				t.Run(c.name+"/"+name, func(t *testing.T) { c.try(t, beginning(fixture(t, name))) })
			}
		}
	}
}

// beginning returns some lines of a long text, as far as the end of a block of
// smaps: to cut them all takes the square of their length.
func beginning(text []byte) []byte {
	const enough = 4 << 10
	if len(text) <= enough {
		return text
	}
	end := bytes.LastIndex(text[:enough], []byte("VmFlags:"))
	if end < 0 {
		return text
	}
	_, rest, _ := nextLine(text[end:])
	return text[:len(text)-len(rest)]
}

func (c *cutting) try(t *testing.T, text []byte) {
	whole, err := c.parse(text)
	if err != nil {
		t.Fatal(err)
	}
	cutsOf(text, func(cut []byte) {
		got, err := c.parse(cut)
		if err != nil {
			return
		}
		for what, value := range got {
			if !reflect.DeepEqual(value, whole[what]) {
				t.Errorf("%q %v: got %+v of the first %d bytes, which end in %q, want %+v",
					c.name, what, value, len(cut), cut[max(0, len(cut)-20):], whole[what])
			}
		}
	})
}

// TestCutSmaps cuts a text of many blocks, whose sums can only be those of the
// blocks that are there: of a part of one, nothing is told.
func TestCutSmaps(t *testing.T) {
	text := beginning(fixture(t, "linux-6.18/smaps"))
	var sums []Smaps // of the first, the first two and so on
	blocks := bytes.SplitAfter(text, []byte("\nVmFlags:"))
	for i := range blocks {
		var s Smaps
		if err := ParseSmaps(bytes.Join(blocks[:i], nil), &s); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, s)
	}
	sums[0] = sums[1] // before SwapPss of the first block, where a kernel may have none
	sums[0].SwapPSSBytes, sums[0].Have = 0, sums[0].Have&^SmapsSwapPSS
	cutsOf(text, func(cut []byte) {
		var got Smaps
		if ParseSmaps(cut, &got) == nil && got != (Smaps{}) && !slices.Contains(sums, got) {
			t.Errorf("got %+v of the first %d bytes, the sum of no blocks", got, len(cut))
		}
	})
}
