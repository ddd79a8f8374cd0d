package procfs

import (
	"reflect"
	"testing"
)

const oldBlock = "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a file (deleted)\n" +
	"Size:                328 kB\nRss:                 100 kB\nPss:                  50 kB\n" +
	"Shared_Clean:         96 kB\nShared_Dirty:          1 kB\nPrivate_Clean:         2 kB\nPrivate_Dirty:         3 kB\n" +
	"Referenced:           99 kB\nAnonymous:             4 kB\nAnonHugePages:         0 kB\nSwap:                  5 kB\n" +
	"KernelPageSize:        4 kB\nVmFlags: rd ex mr mw me dw\n"

func oldMapping() Mapping {
	return Mapping{Start: 0x400000, End: 0x452000, Perms: "r-xp", Offset: 0x1000, Inode: 173521,
		Path: "/usr/bin/a file (deleted)", SizeBytes: 328 << 10, RSSBytes: 100 << 10, PSSBytes: 50 << 10,
		SharedCleanBytes: 96 << 10, SharedDirtyBytes: 1 << 10, PrivateCleanBytes: 2 << 10, PrivateDirtyBytes: 3 << 10,
		ReferencedBytes: 99 << 10, AnonymousBytes: 4 << 10, SwapBytes: 5 << 10}
}

func TestAppendMappings(t *testing.T) {
	const anonymous = "7f00-7fff rw-p 00000000 00:00 0 \nRss:  1 kB\nSwap: 0 kB\n"
	tests := []struct {
		name, text string
		want       []Mapping
		bad        string
	}{
		{"zombie", "", nil, "none"},
		{"3.10", oldBlock, []Mapping{oldMapping()}, "none"},
		{"no path", anonymous, []Mapping{{Start: 0x7f00, End: 0x7fff, Perms: "rw-p", RSSBytes: 1024}}, "none"},
		{"two", oldBlock + anonymous,
			[]Mapping{oldMapping(), {Start: 0x7f00, End: 0x7fff, Perms: "rw-p", RSSBytes: 1024}}, "none"},
		{"path like a key", "1-2 r--p 0 0:0 0 Rss: 5 kB\nSwap: 0 kB\n", []Mapping{{Start: 1, End: 2, Perms: "r--p", Path: "Rss: 5 kB"}}, "none"},
		{"escaped newline", "1-2 r--p 0 0:0 0 /a\\012b\nSwap: 0 kB\n", []Mapping{{Start: 1, End: 2, Perms: "r--p", Path: `/a\012b`}}, "none"},
		{"size without heading", "Rss: 5 kB\n", nil, "Rss"},
		{"bad size", "1-2 r--p 0 0:0 0 \nRss: x kB\n", nil, "Rss"},
		{"bad address", "1-g r--p 0 0:0 0 \n", nil, "address"},
		{"backwards", "2-1 r--p 0 0:0 0 \n", nil, "address"},
		{"truncated", "1-2 r--p 0 0:0 0 /lib", nil, ""},
		{"without its end", "1-2 r--p 0 0:0 0 \nRss: 5 kB\n", nil, "Swap"},
		{"without its end before another", "1-2 r--p 0 0:0 0 \nRss: 5 kB\n" + oldBlock, nil, "Swap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendMappings(nil, []byte(tt.text))
			wantParseError(t, err, "smaps", tt.bad)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestAppendMappingsSums compares the sums with those of ParseSmaps.
func TestAppendMappingsSums(t *testing.T) {
	text := fixture(t, "linux-6.18/smaps")
	list, err := AppendMappings(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var want Smaps
	if err := ParseSmaps(text, &want); err != nil {
		t.Fatal(err)
	}
	var got Mapping
	for i := range list {
		got.Add(&list[i])
	}
	if len(list) < 10 || got.RSSBytes != want.RSSBytes || got.PSSBytes != want.PSSBytes || got.SwapBytes != want.SwapBytes ||
		got.PrivateCleanBytes+got.PrivateDirtyBytes != want.USSBytes {
		t.Errorf("got %+v from %d mappings, want %+v", got, len(list), want)
	}
}

func TestMappingAddSaturates(t *testing.T) {
	m := Mapping{RSSBytes: 1<<64 - 2, PSSBytes: 1}
	m.Add(&Mapping{RSSBytes: 5, PSSBytes: 2})
	if want := (Mapping{RSSBytes: 1<<64 - 1, PSSBytes: 3}); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}

func BenchmarkAppendMappings(b *testing.B) {
	text := fixture(b, "linux-6.18/smaps")
	var list []Mapping
	benchmark(b, text, func() (err error) { list, err = AppendMappings(list[:0], text); return err })
}

// FuzzAppendMappings checks that AppendMappings keeps the given elements, and
// appends none with an error.
func FuzzAppendMappings(f *testing.F) {
	f.Add([]byte(oldBlock))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := oldMapping()
		got, err := AppendMappings([]Mapping{before}, text)
		if len(got) == 0 || got[0] != before || err != nil && len(got) != 1 {
			t.Errorf("got %+v and error %v, want the given element first, and only it with an error", got, err)
		}
	})
}
