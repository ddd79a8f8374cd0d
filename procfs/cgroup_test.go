package procfs

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestAppendCgroupPaths(t *testing.T) {
	const cron = "/system.slice/cron.service"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"6.18, both versions", string(fixture(t, "linux-6.18/cgroup")), []string{cron, cron, cron, cron}},
		{"3.10, version 1", string(fixture(t, "linux-3.10/cgroup")),
			[]string{"/", "/", "/system.slice", "/system.slice/crond.service"}},
		{"version 2", "0::/a.scope\n", []string{"/a.scope"}},
		{"empty", "", nil},
		{"colons in path", "0::/a:b:0::/evil\n", []string{"/a:b:0::/evil"}},
		{"outside of our namespace", "0::/../../x\n", []string{"/../../x"}},
		{"removed", "0::/a b (deleted)\n", []string{"/a b (deleted)"}},
		{"not UTF-8", "0::/\xff\xfe\n", []string{"/\xff\xfe"}},
		{"no path", "0::\n", []string{""}},
		{"malformed lines", "\n0\n1:cpu\n2:cpu:/x\n/\n", []string{"/x"}},
		{"cut", "1:cpu:/x\n0::/a.sc", []string{"/x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendCgroupPaths([]string{"first"}, []byte(tt.text))
			if want := append([]string{"first"}, tt.want...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAppendCgroupPathsCopies(t *testing.T) {
	text := []byte("0::/a.scope\n")
	got := AppendCgroupPaths(nil, text)
	clear(text)
	if want := []string{"/a.scope"}; !slices.Equal(got, want) {
		t.Errorf("got %q after the text changed, want %q", got, want)
	}
}

// TestAppendCgroupPathsAllocs requires one allocation for each path, and none for
// skipped lines.
func TestAppendCgroupPathsAllocs(t *testing.T) {
	text, dst := []byte("0::/a.scope\nmalformed\n1:cpu:/b.scope\n0::/cut"), make([]string, 0, 4)
	if n := testing.AllocsPerRun(100, func() { AppendCgroupPaths(dst, text) }); n != 2 {
		t.Errorf("got %v allocations, want 2", n)
	}
}

func BenchmarkAppendCgroupPaths(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/cgroup"), make([]string, 0, 16)
	benchmark(b, text, func() error { AppendCgroupPaths(dst, text); return nil })
}

// FuzzAppendCgroupPaths checks that every path is the end of a line, and
// that printed paths are parsed to the same paths.
func FuzzAppendCgroupPaths(f *testing.F) {
	f.Add([]byte("0::/a:b\n"))
	f.Add(fixture(f, "linux-6.18/cgroup"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := AppendCgroupPaths(nil, text)
		var printed strings.Builder
		for _, path := range got {
			if !bytes.Contains(text, []byte(":"+path+"\n")) {
				t.Errorf("got path %q, want the end of a line of %q", path, text)
			}
			printed.WriteString("1:cpu:" + path + "\n")
		}
		if again := AppendCgroupPaths(nil, []byte(printed.String())); !slices.Equal(again, got) {
			t.Errorf("got %q for %q, want %q", again, printed.String(), got)
		}
	})
}
