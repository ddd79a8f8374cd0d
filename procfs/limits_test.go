package procfs

import (
	"fmt"
	"strings"
	"testing"
)

// limitLine prints one limit as the kernel does.
func limitLine(name string, soft, hard any) string {
	return fmt.Sprintf("%-25s %-20v %-20v %-10s\n", name, soft, hard, "units")
}

func TestParseLimits(t *testing.T) {
	none := Limit{Unlimited, Unlimited}
	want := func(processes, locked uint64, files Limit) Limits {
		return Limits{CPU: none, FileSize: none, Data: none, Stack: Limit{8388608, Unlimited}, Core: Limit{0, Unlimited},
			RSS: none, Processes: Limit{processes, processes}, OpenFiles: files, LockedMemory: Limit{locked, locked},
			AddressSpace: none, FileLocks: none, PendingSignals: Limit{processes, processes},
			MsgQueue: Limit{819200, 819200}, RTTime: none, Have: 1<<16 - 1}
	}
	const most = uint64(1<<64 - 2) // one below what the kernel calls unlimited
	tests := []struct {
		name, text string
		want       Limits
		bad        string // field of the ParseError
	}{
		{"6.18", string(fixture(t, "linux-6.18/limits")), want(96365, 8388608, Limit{20000, 20000}), "none"},
		{"3.10", string(fixture(t, "linux-3.10/limits")), want(15067, 65536, Limit{1024, 4096}), "none"},
		{"empty", "", Limits{}, "none"},
		{"heading", limitLine("Limit", "Soft Limit", "Hard Limit"), Limits{}, "none"},
		{"unknown", limitLine("Max bogons", "x", "y") + limitLine("Max nice priority", 3, 4),
			Limits{Nice: Limit{3, 4}, Have: LimitNice}, "none"},
		{"greatest", limitLine("Max open files", most, most), Limits{OpenFiles: Limit{most, most}, Have: LimitOpenFiles}, "none"},
		{"overflow", limitLine("Max open files", "18446744073709551616", 4), Limits{}, "Max open files"},
		{"one value", "Max open files            1024\n", Limits{}, "Max open files"},
		{"no value", "Max realtime priority\n", Limits{}, "Max realtime priority"},
		{"cut", "Max open files            1024                 40", Limits{}, "Max open files"},
		{"cut name", "Max open f", Limits{}, "none"},
		{"word", limitLine("Max open files", "infinite", 4), Limits{}, "Max open files"},
		{"negative", limitLine("Max stack size", 1, -4), Limits{}, "Max stack size"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := Limits{Have: LimitRTTime}
			got := before
			wantParseError(t, ParseLimits([]byte(tt.text), &got), "limits", tt.bad)
			if tt.bad != "none" {
				tt.want = before
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseLimitsAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/limits"), new(Limits)
	wantNoAllocs(t, func() error { return ParseLimits(text, dst) })
}

func BenchmarkParseLimits(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/limits"), new(Limits)
	benchmark(b, text, func() error { return ParseLimits(text, dst) })
}

// FuzzParseLimits checks that ParseLimits never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseLimits(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/limits"))
	names := []string{"cpu time", "file size", "data size", "stack size", "core file size", "resident set",
		"processes", "open files", "locked memory", "address space", "file locks", "pending signals",
		"msgqueue size", "nice priority", "realtime priority", "realtime timeout"}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Limits
		if err := ParseLimits(text, &got); err != nil {
			if got != (Limits{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		var printed strings.Builder
		for _, name := range names {
			to, bit := got.field([]byte("Max " + name))
			if bit == 0 {
				t.Fatalf("got no limit named %q", name)
			}
			if got.Have&bit != 0 {
				printed.WriteString(limitLine("Max "+name, to.Soft, to.Hard))
			}
		}
		if err := ParseLimits([]byte(printed.String()), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed.String(), got)
		}
	})
}

func TestLimitsAt(t *testing.T) {
	var l Limits
	if err := ParseLimits(fixture(t, "linux-6.18/limits"), &l); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		bit  LimitField
		want Limit
	}{
		{"first", LimitCPU, l.CPU}, {"stack", LimitStack, l.Stack}, {"files", LimitOpenFiles, l.OpenFiles}, {"last", LimitRTTime, l.RTTime},
	} {
		k := 0
		for tt.bit>>k != 1 {
			k++
		}
		if got := l.At(k); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := l.At(16); got != (Limit{}) {
		t.Errorf("got %+v for an index out of range, want the zero Limit", got)
	}
}
