package httpgzip

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAccepted(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		want   bool
	}{
		{"no header", nil, false},
		{"empty header", []string{""}, false},
		{"gzip", []string{"gzip"}, true},
		{"x-gzip", []string{"x-gzip"}, true},
		{"upper case", []string{"GZIP"}, true},
		{"other encoding", []string{"br"}, false},
		{"name with gzip inside", []string{"notgzip, gzipped"}, false},
		{"list", []string{"deflate, gzip, br"}, true},
		{"second header", []string{"br", "gzip"}, true},
		{"empty elements", []string{",, gzip ,"}, true},
		{"weight", []string{"deflate, gzip;q=0.5"}, true},
		{"smallest weight", []string{"gzip;q=0.001"}, true},
		{"weight 1", []string{"gzip;q=1.000"}, true},
		{"weight 0", []string{"gzip;q=0"}, false},
		{"weight 0.0", []string{"gzip;q=0.0"}, false},
		{"weight 0.000", []string{"gzip;q=0.000"}, false},
		{"upper case weight 0", []string{"GZip;Q=0"}, false},
		{"whitespace and weight 0", []string{" gzip \t; q=0 "}, false},
		{"whitespace and weight", []string{"br ,\tgzip ;  q=0.8"}, true},
		{"weight after another parameter", []string{"gzip;level=1;q=0"}, false},
		{"no number", []string{"gzip;q=high"}, false},
		{"no value", []string{"gzip;q"}, false},
		{"NaN", []string{"gzip;q=NaN"}, false},
		{"negative", []string{"gzip;q=-1"}, false},
		{"above 1", []string{"gzip;q=2"}, false},
		{"listed twice", []string{"gzip;q=0, gzip;q=1"}, true},
		{"wildcard", []string{"*"}, true},
		{"wildcard with weight 0", []string{"*;q=0"}, false},
		{"gzip and wildcard with weight 0", []string{"gzip, *;q=0"}, true},
		{"wildcard with weight 0 first", []string{"*;q=0, gzip;q=0.1"}, true},
		{"wildcard without gzip", []string{"gzip;q=0, *"}, false},
		{"identity only", []string{"identity"}, false},
		{"identity with weight 0", []string{"identity;q=0"}, false},
		{"gzip but not identity", []string{"identity;q=0, gzip"}, true},
		{"any but identity", []string{"identity;q=0, *;q=0.5"}, true},
		{"identity preferred", []string{"identity, gzip;q=0.5"}, false},
		{"gzip preferred", []string{"gzip, identity;q=0.5"}, true},
		{"no preference", []string{"gzip, identity"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Accepted(http.Header{"Accept-Encoding": tt.header}); got != tt.want {
				t.Errorf("got %v for %q, want %v", got, tt.header, tt.want)
			}
		})
	}
}

func TestAcceptedAllocs(t *testing.T) {
	h := http.Header{"Accept-Encoding": {"deflate, gzip;q=0.5, *;q=0"}}
	if n := testing.AllocsPerRun(100, func() { Accepted(h) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestWriter(t *testing.T) {
	for _, want := range []string{"first", "second, from a pooled compressor", ""} {
		var b bytes.Buffer
		w := NewWriter(&b)
		if _, err := io.WriteString(w, want); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second Close must not return the compressor again
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write([]byte("late")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got error %v from Write after Close, want %v", err, io.ErrClosedPipe)
		}
		r, err := gzip.NewReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("got %q and error %v, want %q", got, err, want)
		}
	}
}

// TestWriterError requires that Close returns an error of the underlying writer.
func TestWriterError(t *testing.T) {
	w := NewWriter(failingWriter{})
	_, _ = io.Copy(w, strings.NewReader("text"))
	if err := w.Close(); !errors.Is(err, errWrite) {
		t.Errorf("got error %v, want %v", err, errWrite)
	}
}

var errWrite = errors.New("write failed")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWrite }
