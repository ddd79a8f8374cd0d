package procfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// fixture returns a file of testdata, such as "linux-6.18/stat".
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wantParseError fails the test unless err is a ParseError of this file and
// field, or nil where field is "none".
func wantParseError(t *testing.T, err error, file, field string) {
	t.Helper()
	if field == "none" {
		if err != nil {
			t.Fatalf("got error %v, want none", err)
		}
		return
	}
	var pe *ParseError
	if !errors.As(err, &pe) || pe.File != file || pe.Field != field {
		t.Fatalf("got error %v, want a ParseError of %s, field %q", err, file, field)
	}
	if len(pe.Text) > 64 {
		t.Errorf("got %d bytes of text in the error, want at most 64", len(pe.Text))
	}
}

// wantNoAllocs fails the test if parse allocates.
func wantNoAllocs(t *testing.T, parse func() error) {
	t.Helper()
	if err := parse(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = parse() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// benchmark measures parse, which reads text.
func benchmark(b *testing.B, text []byte, parse func() error) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := parse(); err != nil {
			b.Fatal(err)
		}
	}
}

// forEachPrefix calls check with every proper prefix of text.
func forEachPrefix(text []byte, check func(prefix []byte)) {
	for n := range len(text) {
		check(text[:n:n])
	}
}
