package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
)

// TestLimitedHandler logs every second for an hour, with one message and with
// new ones. No minute, wherever it starts, may have more lines than the limit.
func TestLimitedHandler(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	log := slog.New(limitedHandler{slog.NewTextHandler(&out, nil), newLimits(func() time.Time { return now })}).With("x", 1)
	var lines [3600]int // by second
	for second := range lines {
		now = time.Unix(int64(second), 0)
		for i := range 10 {
			before := out.Len()
			log.Error("cannot read", "pid", i)
			log.Error(fmt.Sprint("new message ", second, i))
			lines[second] += bytes.Count(out.Bytes()[before:], []byte("\n"))
		}
	}
	for second := range lines[:len(lines)-60] {
		sum := 0
		for _, n := range lines[second : second+60] {
			sum += n
		}
		if sum > LinesPerMinute {
			t.Errorf("got %d lines in the minute from second %d, want at most %d", sum, second, LinesPerMinute)
		}
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n < 59*LinesPerMinute {
		t.Errorf("got %d lines in an hour, want about %d", n, 60*LinesPerMinute)
	}
	if !strings.Contains(out.String(), "omitted=") {
		t.Error("got no attribute omitted, want one")
	}
}

func TestLimitsByKey(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimits(func() time.Time { return now })
	key := lineKey{slog.LevelError, "same"}
	written := 0
	for range 100 {
		if _, ok := l.admit(key); ok {
			written++
		}
	}
	if written != keyBurst {
		t.Errorf("got %d lines with one key, want %d", written, keyBurst)
	}
	if _, ok := l.admit(lineKey{slog.LevelWarn, "same"}); !ok {
		t.Error("got no line with another level, want one")
	}
	now = now.Add(time.Minute)
	if omitted, ok := l.admit(key); !ok || omitted != 100-keyBurst {
		t.Errorf("got %d omitted, %v, want %d, true", omitted, ok, 100-keyBurst)
	}
}

// blockedWriter blocks until its channel is closed. It may then fail.
type blockedWriter struct {
	unblock chan struct{}
	fail    bool
	out     bytes.Buffer
}

func (w *blockedWriter) Write(p []byte) (int, error) {
	<-w.unblock
	if w.fail {
		return 0, errors.New("no space left")
	}
	return w.out.Write(p)
}

func TestSinkNeverBlocks(t *testing.T) {
	w := &blockedWriter{unblock: make(chan struct{})}
	s := NewSink(w, "test")
	for i := range 2 * QueueLength {
		fmt.Fprintln(s, "line", i)
	}
	s.Close() // returns while the first write blocks
	close(w.unblock)
	<-s.done
	text := w.out.String()
	if !strings.HasPrefix(text, "line 0\n") || !strings.Contains(text, "test: dropped ") || strings.Count(text, "\n") > QueueLength+3 {
		t.Errorf("got %.80q in %d lines, want at most %d", text, strings.Count(text, "\n"), QueueLength+3)
	}
	fmt.Fprintln(s, "after Close")
}

func TestSinkIgnoresErrors(t *testing.T) {
	w := &blockedWriter{unblock: make(chan struct{}), fail: true}
	close(w.unblock)
	s := NewSink(w, "test")
	for i := range QueueLength {
		fmt.Fprintln(s, "line", i)
	}
	s.Close()
	<-s.done
}

func TestNew(t *testing.T) {
	tests := []struct {
		name, level, format, want string
	}{
		{name: "logfmt", level: "info", format: "logfmt", want: ` level=INFO msg="reading processes" source=bpf` + "\n"},
		{name: "JSON", level: "debug", format: "json", want: `"level":"INFO","msg":"reading processes","source":"bpf"}` + "\n"},
		{name: "level", level: "warn", format: "logfmt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat()}
			if err := errors.Join(config.Level.Set(tt.level), config.Format.Set(tt.format)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			New(config, &out).Info("reading processes", "source", "bpf")
			if got := out.String(); !strings.HasSuffix(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q, want %q at the end", got, tt.want)
			}
			if got := out.String(); got != "" && !strings.Contains(got, "Z") {
				t.Errorf("got %q, want the time in UTC", got)
			}
		})
	}
}

// TestJSONControlCharacters requires that lines in JSON contain no control characters.
func TestJSONControlCharacters(t *testing.T) {
	config := promslog.Config{Format: promslog.NewFormat()}
	if err := config.Format.Set("json"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	New(config, &out).Info("x", "name", "\x1b\u009b\x7f")
	if want := `"name":"\u001b\u009b\u007f"`; !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %s", out.String(), want)
	}
}
