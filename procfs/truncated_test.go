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

// values holds the parsed values by name.
type values map[string]any

// A truncationTest is a parser and the fixtures that it reads, in the directory of
// each kernel version.
type truncationTest struct {
	name  string
	files []string
	parse func(text []byte) (values, error)
}

// truncationTests has all parsers that can detect truncated text. For cmdline and
// wchan this is impossible: their files must be read until read returns 0 bytes.
var truncationTests = []truncationTest{
	{"ParseStat", []string{"stat", "zombie_stat", "kthread_stat"}, func(text []byte) (values, error) {
		s := Stat{}
		err := ParseStat(text, &s)
		return values{"": s}, err
	}},
	{"ParseStatus", []string{"status", "zombie_status", "kthread_status"}, func(text []byte) (values, error) {
		s := Status{}
		err := ParseStatus(text, &s)
		return statusValues(&s), err
	}},
	{"ParseStatusFields", []string{"status", "zombie_status", "kthread_status"}, func(text []byte) (values, error) {
		s := Status{}
		err := ParseStatusFields(text, StatusUIDs|StatusSwap|StatusSwitches, &s)
		return statusValues(&s), err
	}},
	{"ParseTGID", []string{"status"}, single(ParseTGID)},
	{"ParseIO", []string{"io"}, func(text []byte) (values, error) {
		o := IO{}
		err := ParseIO(text, &o)
		return present(uint64(o.Have), o.ReadChars, o.WriteChars, o.ReadSyscalls, o.WriteSyscalls,
			o.ReadBytes, o.WriteBytes, o.CancelledWriteBytes), err
	}},
	{"ParseLimits", []string{"limits"}, func(text []byte) (values, error) {
		l := Limits{}
		err := ParseLimits(text, &l)
		var all []any
		for k := range 16 {
			all = append(all, l.At(k))
		}
		return present(uint64(l.Have), all...), err
	}},
	{"ParseSmaps", []string{"smaps_rollup"}, func(text []byte) (values, error) {
		s := Smaps{}
		err := ParseSmaps(text, &s)
		return present(uint64(s.Have), s.RSSBytes, s.PSSBytes, s.USSBytes, s.SwapBytes, s.SwapPSSBytes), err
	}},
	{"AppendMappings", []string{"smaps"}, list(AppendMappings)},
	{"ParseStatm", []string{"statm"}, func(text []byte) (values, error) {
		s := Statm{}
		err := ParseStatm(text, &s)
		return values{"": s}, err
	}},
	{"ParseSchedstat", []string{"schedstat"}, func(text []byte) (values, error) {
		s := Schedstat{}
		err := ParseSchedstat(text, &s)
		return values{"": s}, err
	}},
	{"ParseMeminfo", []string{"meminfo"}, func(text []byte) (values, error) {
		m := Meminfo{}
		err := ParseMeminfo(text, &m)
		return present(uint64(m.Have), m.TotalBytes, m.FreeBytes, m.AvailableBytes, m.SwapTotalBytes, m.SwapFreeBytes), err
	}},
	{"ParseBootTime", []string{"host_stat"}, single(ParseBootTime)},
	{"ParseUptime", []string{"uptime"}, single(ParseUptime)},
	{"AppendCgroupPaths", []string{"cgroup"}, list(func(dst []string, text []byte) ([]string, error) {
		return AppendCgroupPaths(dst, text), nil
	})},
	{"AppendInetSockets", []string{"tcp", "tcp6", "udp", "udp6"}, list(AppendInetSockets)},
	{"AppendUnixSockets", []string{"unix"}, list(func(dst []UnixSocket, text []byte) ([]UnixSocket, error) {
		return AppendUnixSockets(dst, text), nil
	})},
}

func single[T any](parse func([]byte) (T, error)) func([]byte) (values, error) {
	return func(text []byte) (values, error) {
		v, err := parse(text)
		return values{"": v}, err
	}
}

// list returns the appended elements by index.
func list[T any](parse func([]T, []byte) ([]T, error)) func([]byte) (values, error) {
	return func(text []byte) (values, error) {
		list, err := parse(nil, text)
		all := make(values)
		for i, v := range list {
			all[fmt.Sprint(i)] = v
		}
		return all, err
	}
}

// present returns the fields whose bits are in a Have set, by bit number.
func present[T any](have uint64, fields ...T) values {
	all := make(values)
	for i, v := range fields {
		if have>>i&1 != 0 {
			all[fmt.Sprint(i)] = v
		}
	}
	if have>>len(fields) != 0 {
		all["bit without a field"] = have
	}
	return all
}

func statusValues(s *Status) values {
	return present[any](uint64(s.Have), s.State, s.UIDs, s.GIDs, s.NSPIDs, s.Threads, s.PeakVirtualBytes, s.VirtualBytes,
		s.PeakResidentBytes, s.ResidentBytes, s.ResidentAnonBytes, s.ResidentFileBytes, s.ResidentShmemBytes, s.SwapBytes,
		s.HugetlbBytes, s.VoluntarySwitches, s.NonvoluntarySwitches)
}

// TestTruncatedText parses every proper prefix of every fixture. A parser must
// return an error, or only values that it returns for the complete text.
func TestTruncatedText(t *testing.T) {
	for _, c := range truncationTests {
		for _, file := range c.files {
			captured, err := filepath.Glob("testdata/linux-*/" + file)
			if err != nil || len(captured) == 0 {
				t.Fatalf("got no fixture %s, error %v", file, err)
			}
			for _, name := range captured {
				name = strings.TrimPrefix(filepath.ToSlash(name), "testdata/")
				t.Run(c.name+"/"+name, func(t *testing.T) { c.run(t, firstBlocks(fixture(t, name))) })
			}
		}
	}
}

// firstBlocks returns the first complete blocks of a long smaps file: the time of
// the test is quadratic in the length.
func firstBlocks(text []byte) []byte {
	const maxLength = 4 << 10
	if len(text) <= maxLength {
		return text
	}
	end := bytes.LastIndex(text[:maxLength], []byte("VmFlags:"))
	if end < 0 {
		return text
	}
	_, rest, _ := nextLine(text[end:])
	return text[:len(text)-len(rest)]
}

func (c *truncationTest) run(t *testing.T, text []byte) {
	whole, err := c.parse(text)
	if err != nil {
		t.Fatal(err)
	}
	forEachPrefix(text, func(cut []byte) {
		got, err := c.parse(cut)
		if err != nil {
			return
		}
		for what, value := range got {
			if !reflect.DeepEqual(value, whole[what]) {
				t.Errorf("%q %v: got %+v from the first %d bytes, which end with %q, want %+v",
					c.name, what, value, len(cut), cut[max(0, len(cut)-20):], whole[what])
			}
		}
	})
}

// TestTruncatedSmaps parses every prefix of a text with many blocks. The sums must
// be those of complete blocks.
func TestTruncatedSmaps(t *testing.T) {
	text := firstBlocks(fixture(t, "linux-6.18/smaps"))
	var sums []Smaps // of 0, 1, 2 ... blocks
	blocks := bytes.SplitAfter(text, []byte("\nVmFlags:"))
	for i := range blocks {
		var s Smaps
		if err := ParseSmaps(bytes.Join(blocks[:i], nil), &s); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, s)
	}
	sums[0] = sums[1] // before SwapPss of the first block, which an old kernel lacks
	sums[0].SwapPSSBytes, sums[0].Have = 0, sums[0].Have&^SmapsSwapPSS
	forEachPrefix(text, func(cut []byte) {
		var got Smaps
		if ParseSmaps(cut, &got) == nil && got != (Smaps{}) && !slices.Contains(sums, got) {
			t.Errorf("got %+v from the first %d bytes, want the sums of complete blocks", got, len(cut))
		}
	})
}
