package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestParseStatus(t *testing.T) {
	const always = StatusState | StatusUIDs | StatusGIDs | StatusThreads | StatusSwitches
	tests := []struct {
		name, text string
		want       Status
	}{
		{"6.18", string(fixture(t, "linux-6.18/status")), Status{
			State: 'S', NSPIDs: 1, Threads: 1,
			PeakVirtualBytes: 67460 << 10, VirtualBytes: 67460 << 10,
			PeakResidentBytes: 64676 << 10, ResidentBytes: 64676 << 10,
			ResidentAnonBytes: 60032 << 10, ResidentFileBytes: 4644 << 10,
			VoluntarySwitches: 6, NonvoluntarySwitches: 2,
			Have: always | StatusNSPIDs | StatusVM | StatusResidentAnon | StatusResidentFile | StatusResidentShmem | StatusSwap | StatusHugetlb}},
		{"3.10", string(fixture(t, "linux-3.10/status")), Status{
			State: 'S', UIDs: [4]uint32{1000, 1001, 1002, 1003}, GIDs: [4]uint32{2000, 2001, 2002, 4294967295}, Threads: 4,
			PeakVirtualBytes: 126388 << 10, VirtualBytes: 126384 << 10,
			PeakResidentBytes: 1724 << 10, ResidentBytes: 1720 << 10, SwapBytes: 96 << 10,
			VoluntarySwitches: 5210, NonvoluntarySwitches: 17, Have: always | StatusVM | StatusSwap}},
		{"6.18 kernel thread", string(fixture(t, "linux-6.18/kthread_status")), Status{
			State: 'S', NSPIDs: 1, Threads: 1, VoluntarySwitches: 63, Have: always | StatusNSPIDs}},
		{"6.18 zombie", string(fixture(t, "linux-6.18/zombie_status")), Status{
			State: 'Z', NSPIDs: 1, Threads: 1, VoluntarySwitches: 1, Have: always | StatusNSPIDs}},
		{"empty", "", Status{}},
		{"escaped name is no line", "Name:\ta\\nUid:\t7\t7\t7\t7\n", Status{}},
		{"name with key", "Name:\tUid:\t7\nThreads:\t2\n", Status{Threads: 2, Have: StatusThreads}},
		{"key not at line start", " Threads:\t2\n\tThreads:\t3\n", Status{}},
		{"blank lines", "\n\nThreads:\t2\n\n", Status{Threads: 2, Have: StatusThreads}},
		{"unknown keys", "threads:\t2\nThreadsX:\tx\nx86_Thread_features:\tshstk \n:\n::\n", Status{}},
		{"unknown key cut", "Threads:\t2\nSigQ:\t0/15", Status{Threads: 2, Have: StatusThreads}},
		{"nested namespaces", "NSpid:\t4123\t52\t1\n", Status{NSPIDs: 3, Have: StatusNSPIDs}},
		{"resident without size", "VmRSS:\t 4 kB\n", Status{ResidentBytes: 4096, Have: StatusResident}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Status
			if err := ParseStatus([]byte(tt.text), &got); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseStatusErrors(t *testing.T) {
	tests := []struct {
		name, text, field string
	}{
		{"cut number", "Threads:\t1", "Threads"},
		{"cut unit", "VmRSS:\t 12 k", "VmRSS"},
		{"cut before unit's end, whole text", "VmRSS:\t 12 kB", "VmRSS"},
		{"key without colon", "Threads\n", "Threads"},
		{"no number", "Threads:\t\n", "Threads"},
		{"threads beyond int", "Threads:\t2147483648\n", "Threads"},
		{"three users", "Uid:\t1\t2\t3\n", "Uid"},
		{"five groups", "Gid:\t1\t2\t3\t4\t5\n", "Gid"},
		{"user beyond 32 bits", "Uid:\t1\t2\t3\t4294967296\n", "Uid"},
		{"user below zero", "Uid:\t-1\t2\t3\t4\n", "Uid"},
		{"no namespace", "NSpid:\t\n", "NSpid"},
		{"no state", "State:\t\n", "State"},
		{"state a word", "State:\tsleeping\n", "State"},
		{"state a digit", "State:\t1 (one)\n", "State"},
		{"size overflows", "VmSize:\t18014398509481984 kB\n", "VmSize"},
		{"switches overflow", "voluntary_ctxt_switches:\t18446744073709551616\n", "voluntary_ctxt_switches"},
		{"junk behind number", "nonvoluntary_ctxt_switches:\t1 x\n", "nonvoluntary_ctxt_switches"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Status{Threads: 5}
			wantParseError(t, ParseStatus([]byte(tt.text), &got), "status", tt.field)
			if got != (Status{Threads: 5}) {
				t.Errorf("got %+v with an error, want it unchanged", got)
			}
		})
	}
}

// TestParseStatusTruncated checks that a truncated text never yields another
// number than the complete text.
func TestParseStatusTruncated(t *testing.T) {
	text := fixture(t, "linux-3.10/status")
	var whole Status
	if err := ParseStatus(text, &whole); err != nil {
		t.Fatal(err)
	}
	forEachPrefix(text, func(cut []byte) {
		var got Status
		if ParseStatus(cut, &got) != nil {
			return
		}
		// Together with the remaining lines, it must equal the complete result.
		rest := text[bytes.LastIndexByte(cut, '\n')+1:]
		var tail Status
		if err := ParseStatus(rest, &tail); err != nil || got.Have&tail.Have != 0 || got.Have|tail.Have != whole.Have {
			t.Errorf("got lines %b from the first %d bytes, %b from the rest and error %v, want all values of the complete text",
				got.Have, len(cut), tail.Have, err)
		}
	})
}

func TestParseStatusAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/status"), new(Status)
	wantNoAllocs(t, func() error { return ParseStatus(text, dst) })
}

// TestParseStatusFields compares with ParseStatus, for each line alone and for
// sets of lines that a walk reads.
func TestParseStatusFields(t *testing.T) {
	const all = StatusNonvoluntarySwitches<<1 - 1
	wants := []StatusField{0, all, StatusState | StatusSwitches, StatusUIDs | StatusSwap | StatusSwitches}
	for bit := StatusField(1); bit < all; bit <<= 1 {
		wants = append(wants, bit)
	}
	for _, name := range []string{"linux-6.18/status", "linux-3.10/status", "linux-6.18/zombie_status", "linux-6.18/kthread_status"} {
		text := fixture(t, name)
		var whole Status
		if err := ParseStatus(text, &whole); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			var got, again Status
			if err := ParseStatusFields(text, want, &got); err != nil || got.Have != whole.Have&want {
				t.Errorf("%s: got %b and error %v, want %b", name, got.Have, err, whole.Have&want)
			}
			part := whole
			part.Have &= want
			if err := ParseStatus(part.render(), &again); err != nil || got != again {
				t.Errorf("%s: got %+v, want %+v (error %v)", name, got, again, err)
			}
			wantNoAllocs(t, func() error { return ParseStatusFields(text, want, &got) })
		}
	}
	for _, text := range []string{
		"Name:\tState:\tS\nState:\t7\n",
		"\nState:\tS",
		"\nvoluntary_ctxt_switches:\tx\n",
		"\nState:\tS (x)\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t2",
	} {
		got := Status{Threads: 9}
		var bad *ParseError
		if err := ParseStatusFields([]byte(text), StatusState|StatusSwitches, &got); !errors.As(err, &bad) || got != (Status{Threads: 9}) {
			t.Errorf("%q: got %+v and error %v, want only a ParseError", text, got, err)
		}
	}
}

func BenchmarkParseStatusFields(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/status"), new(Status)
	benchmark(b, text, func() error { return ParseStatusFields(text, StatusUIDs|StatusSwap|StatusSwitches, dst) })
}

func BenchmarkParseStatus(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/status"), new(Status)
	benchmark(b, text, func() error { return ParseStatus(text, dst) })
}

// render formats the lines in s.Have as the kernel does.
func (s *Status) render() []byte {
	var b bytes.Buffer
	line := func(bit StatusField, format string, args ...any) {
		if s.Have&bit != 0 {
			fmt.Fprintf(&b, format+"\n", args...)
		}
	}
	kb := func(bit StatusField, key string, n uint64) { line(bit, "%s:\t%8d kB", key, n>>10) }
	line(StatusState, "State:\t%c (x)", s.State)
	line(StatusUIDs, "Uid:\t%d\t%d\t%d\t%d", s.UIDs[0], s.UIDs[1], s.UIDs[2], s.UIDs[3])
	line(StatusGIDs, "Gid:\t%d\t%d\t%d\t%d", s.GIDs[0], s.GIDs[1], s.GIDs[2], s.GIDs[3])
	line(StatusNSPIDs, "NSpid:%s", bytes.Repeat([]byte("\t1"), s.NSPIDs))
	line(StatusThreads, "Threads:\t%d", s.Threads)
	kb(StatusPeakVirtual, "VmPeak", s.PeakVirtualBytes)
	kb(StatusVirtual, "VmSize", s.VirtualBytes)
	kb(StatusPeakResident, "VmHWM", s.PeakResidentBytes)
	kb(StatusResident, "VmRSS", s.ResidentBytes)
	kb(StatusResidentAnon, "RssAnon", s.ResidentAnonBytes)
	kb(StatusResidentFile, "RssFile", s.ResidentFileBytes)
	kb(StatusResidentShmem, "RssShmem", s.ResidentShmemBytes)
	kb(StatusSwap, "VmSwap", s.SwapBytes)
	kb(StatusHugetlb, "HugetlbPages", s.HugetlbBytes)
	line(StatusVoluntarySwitches, "voluntary_ctxt_switches:\t%d", s.VoluntarySwitches)
	line(StatusNonvoluntarySwitches, "nonvoluntary_ctxt_switches:\t%d", s.NonvoluntarySwitches)
	return b.Bytes()
}

// FuzzParseStatus checks that ParseStatus never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseStatus(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/status"))
	f.Add(fixture(f, "linux-3.10/status"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Status
		if err := ParseStatusFields(text, StatusNonvoluntarySwitches<<1-1, &got); err != nil && got != (Status{}) {
			t.Errorf("ParseStatusFields: got %+v and error %v, want no value with an error", got, err)
		}
		got = Status{}
		if err := ParseStatus(text, &got); err != nil {
			if got != (Status{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		if err := ParseStatus(got.render(), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, got.render(), got)
		}
	})
}

func TestParseTGID(t *testing.T) {
	tests := []struct {
		name, text string
		want       int
		bad        string
	}{
		{"6.18", string(fixture(t, "linux-6.18/status")), 6322, "none"},
		{"name contains the key", "Name:\tTgid:\t9\nTgid:\t7\n", 7, "none"},
		{"missing", "Name:\tx\n", 0, "Tgid"},
		{"truncated", "Tgid:\t7", 0, "Tgid"},
		{"no number", "Tgid:\tx\n", 0, "Tgid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTGID([]byte(tt.text))
			wantParseError(t, err, "status", tt.bad)
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// FuzzParseTGID checks that ParseTGID never returns a value with an error.
func FuzzParseTGID(f *testing.F) {
	f.Add([]byte("Tgid:\t7\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := ParseTGID(text); err != nil && got != 0 || got < 0 {
			t.Errorf("got %d and error %v, want no negative value and no value with an error", got, err)
		}
	})
}
