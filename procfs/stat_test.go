package procfs

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// oldStatTail is the text after the name in the format of Linux 2.6.32, which ends
// at field 44. Some sums are negative, as while a thread exits.
const oldStatTail = " S 1 900 -1 34817 900 4202560 11 12 13 14 15 16 -17 -18 -2 -5 3 0 2021 22 -24 4294967295 " +
	"25 26 28 29 30 0 0 0 0 18446744071579000000 0 0 17 1 0 0 42 43 44\n"

func oldStat(comm string) Stat {
	return Stat{
		PID: 77, Comm: []byte(comm), State: 'S', PPID: 1, PGRP: 900, Session: -1, TTY: 34817, Flags: 4202560,
		MinorFaults: 11, ChildMinorFaults: 12, MajorFaults: 13, ChildMajorFaults: 14, UserTicks: 15, SystemTicks: 16,
		Priority: -2, Nice: -5, Threads: 3, StartTicks: 2021, VirtualBytes: 22, StackStart: 28, CPU: 1, BlockIOTicks: 42,
	}
}

func TestParseStat(t *testing.T) {
	kthread := Stat{PID: 2, Comm: []byte("kthreadd"), State: 'S', Flags: 2129984, Priority: 20, Threads: 1, StartTicks: 24}
	zombie := Stat{PID: 6324, Comm: []byte("perl"), State: 'Z', PPID: 6322, PGRP: 6319, Session: 4755, Flags: 4227148,
		MinorFaults: 86, Priority: 20, Threads: 1, StartTicks: 132485}
	running := Stat{PID: 6322, Comm: []byte("perl"), State: 'S', PPID: 6319, PGRP: 6319, Session: 4755, Flags: 4194304,
		MinorFaults: 15179, MajorFaults: 2, SystemTicks: 6, Priority: 20, Threads: 1, StartTicks: 132477,
		VirtualBytes: 69079040, ResidentPages: 16116, StackStart: 140733378738592, CPU: 1,
		ArgStart: 140733378742824, ArgEnd: 140733378742971}
	old := Stat{PID: 812, Comm: []byte("crond"), State: 'S', PPID: 1, PGRP: 812, Session: 812, Flags: 4202816,
		MinorFaults: 523, ChildMinorFaults: 80411, MajorFaults: 3, ChildMajorFaults: 12, UserTicks: 41, SystemTicks: 77,
		ChildUserTicks: 310, ChildSystemTicks: 205, Priority: 20, Threads: 4, StartTicks: 1187,
		VirtualBytes: 129417216, ResidentPages: 430, StackStart: 140735340871520, CPU: 2, BlockIOTicks: 9,
		ArgStart: 140735340875562, ArgEnd: 140735340875580}
	tests := []struct {
		name, text string
		want       Stat
	}{
		{"3.10", string(fixture(t, "linux-3.10/stat")), old},
		{"6.18", string(fixture(t, "linux-6.18/stat")), running},
		{"6.18 zombie", string(fixture(t, "linux-6.18/zombie_stat")), zombie},
		{"6.18 kernel thread", string(fixture(t, "linux-6.18/kthread_stat")), kthread},
		{"2.6.32", "77 (cron)" + oldStatTail, oldStat("cron")},
		{"empty name", "77 ()" + oldStatTail, oldStat("")},
		{"name forges a tail", "77 (a) R 1 (b)" + oldStatTail, oldStat("a) R 1 (b")},
		{"name forges a line", "77 (x) Z 1 1\n5 (y)" + oldStatTail, oldStat("x) Z 1 1\n5 (y")},
		{"name is parentheses", "77 ()))((()" + oldStatTail, oldStat(")))(((")},
		{"name is newline", "77 (\n)" + oldStatTail, oldStat("\n")},
		{"name is not UTF-8", "77 (\xff\xc0\x80)" + oldStatTail, oldStat("\xff\xc0\x80")},
		{"long name of a worker", "77 (kworker/u9:1-events_unbound)" + oldStatTail, oldStat("kworker/u9:1-events_unbound")},
		{"ends at rss", "77 (cron)" + firstFields(oldStatTail, 22) + "\n", func() Stat {
			s := oldStat("cron")
			s.StackStart, s.CPU, s.BlockIOTicks = 0, 0, 0
			return s
		}()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Stat
			if err := ParseStat([]byte(tt.text), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// firstFields returns the first n fields of text.
func firstFields(text string, n int) string {
	return " " + strings.Join(strings.Fields(text)[:n], " ")
}

func TestParseStatExtremes(t *testing.T) {
	const most = "18446744073709551615"
	f := strings.Fields("1 (x) R 0 -1 -1 -2147483648 0 " + most + strings.Repeat(" "+most, 6) +
		" 9223372036854775807 -9223372036854775808 -100 -20 2147483647 0" + strings.Repeat(" "+most, 3))
	var got Stat
	if err := ParseStat([]byte(strings.Join(f, " ")+"\n"), &got); err != nil {
		t.Fatal(err)
	}
	const m = 1<<64 - 1
	want := Stat{PID: 1, Comm: []byte("x"), State: 'R', PGRP: -1, Session: -1, TTY: -1 << 31, Flags: m,
		MinorFaults: m, ChildMinorFaults: m, MajorFaults: m, ChildMajorFaults: m, UserTicks: m, SystemTicks: m,
		ChildUserTicks: 1<<63 - 1, Priority: -100, Nice: -20, Threads: 1<<31 - 1,
		StartTicks: m, VirtualBytes: m, ResidentPages: m}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseStatErrors(t *testing.T) {
	with := func(field int, value string) string { // replaces one field, counted as proc(5) does
		f := strings.Split("77 (cron)"+strings.TrimSuffix(oldStatTail, "\n"), " ")
		f[field-1] = value
		return strings.Join(f, " ") + "\n"
	}
	tests := []struct {
		name, text, field string
	}{
		{"empty", "", "pid"},
		{"no parenthesis", "77 cron S 1\n", "pid"},
		{"no pid", "(cron)" + oldStatTail, "pid"},
		{"pid not a number", with(1, "7x"), "pid"},
		{"pid signed", with(1, "-7"), "pid"},
		{"pid beyond int", with(1, "4294967296"), "pid"},
		{"name does not end", "77 (cron S 1 2 3\n", "comm"},
		{"name ends before it starts", "77) (cron S 1\n", "comm"},
		{"nothing behind name", "77 (cron)", "state"},
		{"state of two letters", with(3, "SS"), "state"},
		{"state a digit", with(3, "7"), "state"},
		{"ppid below zero", with(4, "-1"), "ppid"},
		{"ppid wraps to an int", with(4, "18446744071700000000"), "ppid"},
		{"session below int64", with(6, "-9223372036854775809"), "session"},
		{"pgrp beyond int", with(5, "2147483648"), "pgrp"},
		{"session beyond int", with(6, "-2147483649"), "session"},
		{"terminal beyond int", with(7, "99999999999999999999"), "tty_nr"},
		{"unwanted field not a number", with(8, "x"), "tpgid"},
		{"faults below zero", with(10, "-1"), "minflt"},
		{"ticks overflow", with(14, "18446744073709551616"), "utime"},
		{"ticks of 21 digits", with(15, "100000000000000000000"), "stime"},
		{"no number behind sign", with(16, "-"), "cutime"},
		{"two signs", with(17, "--1"), "cstime"},
		{"below int64", with(16, "-9223372036854775809"), "cutime"},
		{"threads below zero", with(20, "-1"), "num_threads"},
		{"fraction", with(22, "1.5"), "starttime"},
		{"empty field", with(23, ""), "vsize"},
		{"newline inside", with(23, "1\n2"), "vsize"},
		{"too few", "77 (cron)" + firstFields(oldStatTail, 21) + "\n", "rss"},
		{"space at end", "77 (cron)" + firstFields(oldStatTail, 22) + " \n", "rsslim"},
		{"cpu overflows", with(39, "2147483648"), "processor"},
		{"no newline", strings.TrimSuffix(with(1, "77"), "\n"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Stat{PID: 5}
			wantParseError(t, ParseStat([]byte(tt.text), &got), "stat", tt.field)
			if !reflect.DeepEqual(got, Stat{PID: 5}) {
				t.Errorf("got %+v with an error, want it unchanged", got)
			}
		})
	}
}

func TestParseStatTruncated(t *testing.T) {
	forEachPrefix(fixture(t, "linux-6.18/stat"), func(cut []byte) {
		var got Stat
		if err := ParseStat(cut, &got); err == nil || got.PID != 0 {
			t.Errorf("got %+v and error %v for %q, want only an error", got, err, cut)
		}
	})
}

func TestParseStatAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/stat"), new(Stat)
	wantNoAllocs(t, func() error { return ParseStat(text, dst) })
}

func BenchmarkParseStat(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/stat"), new(Stat)
	benchmark(b, text, func() error { return ParseStat(text, dst) })
}

// render formats s as the kernel does, with 0 for fields that [Stat] lacks.
func (s *Stat) render() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d (%s) %c %d %d %d %d 0 %d", s.PID, s.Comm, s.State, s.PPID, s.PGRP, s.Session, s.TTY, s.Flags)
	fmt.Fprintf(&b, " %d %d %d %d", s.MinorFaults, s.ChildMinorFaults, s.MajorFaults, s.ChildMajorFaults)
	fmt.Fprintf(&b, " %d %d %d %d", s.UserTicks, s.SystemTicks, s.ChildUserTicks, s.ChildSystemTicks)
	fmt.Fprintf(&b, " %d %d %d 0 %d %d %d", s.Priority, s.Nice, s.Threads, s.StartTicks, s.VirtualBytes, s.ResidentPages)
	fmt.Fprintf(&b, " 0 0 0 %d%s %d 0 0 %d", s.StackStart, strings.Repeat(" 0", 10), s.CPU, s.BlockIOTicks)
	fmt.Fprintf(&b, "%s %d %d 0 0 0\n", strings.Repeat(" 0", 5), s.ArgStart, s.ArgEnd)
	return b.Bytes()
}

// FuzzParseStat checks that ParseStat never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseStat(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/stat"))
	f.Add(fixture(f, "linux-6.18/kthread_stat"))
	f.Add([]byte("77 (a) R 1 (b)" + oldStatTail))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Stat
		if err := ParseStat(text, &got); err != nil {
			if !reflect.DeepEqual(got, Stat{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		if err := ParseStat(got.render(), &again); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, got.render(), got)
		}
	})
}
