package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLogIsLimited logs every second for an hour, in one kind and in ever new ones,
// and wants no minute, wherever it begins, to have more lines than it may.
func TestLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	log := slog.New(limitedHandler{slog.NewTextHandler(&out, nil), newLogLimits(func() time.Time { return now })}).With("x", 1)
	var lines [3600]int // by second
	for second := range lines {
		now = time.Unix(int64(second), 0)
		for i := range 10 {
			before := out.Len()
			log.Error("Cannot read", "pid", i)
			log.Error(fmt.Sprint("Made up ", second, i))
			lines[second] += bytes.Count(out.Bytes()[before:], []byte("\n"))
		}
	}
	for second := range lines[:len(lines)-60] {
		sum := 0
		for _, n := range lines[second : second+60] {
			sum += n
		}
		if sum > maxLinesPerMinute {
			t.Errorf("got %d lines in the minute from second %d on", sum, second)
		}
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n < 59*maxLinesPerMinute {
		t.Errorf("got %d lines in an hour, which could have been %d", n, 60*maxLinesPerMinute)
	}
	if !strings.Contains(out.String(), "omitted=") {
		t.Error("nothing says that lines were left out")
	}
}

func TestLogOmitsByKind(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLogLimits(func() time.Time { return now })
	k := kind{slog.LevelError, "same"}
	written := 0
	for range 100 {
		if _, ok := l.admit(k); ok {
			written++
		}
	}
	if written != maxKindBurst {
		t.Errorf("got %d lines of one kind, want %d", written, maxKindBurst)
	}
	if _, ok := l.admit(kind{slog.LevelWarn, "same"}); !ok {
		t.Error("another kind was left out")
	}
	now = now.Add(time.Minute)
	if omitted, ok := l.admit(k); !ok || omitted != 100-maxKindBurst {
		t.Errorf("got %d omitted, %v; want %d, true", omitted, ok, 100-maxKindBurst)
	}
}

// stubbornWriter takes a line when it is told to, and may refuse it.
type stubbornWriter struct {
	take chan struct{}
	fail bool
	out  bytes.Buffer
}

func (w *stubbornWriter) Write(p []byte) (int, error) {
	<-w.take
	if w.fail {
		return 0, errors.New("no space left")
	}
	return w.out.Write(p)
}

func TestLogSinkNeverWaits(t *testing.T) {
	w := &stubbornWriter{take: make(chan struct{})}
	s := newLogSink(w)
	for i := range 2 * maxQueued {
		fmt.Fprintln(s, "line", i)
	}
	s.close() // gives up at the first line
	close(w.take)
	<-s.done
	text := w.out.String()
	if !strings.HasPrefix(text, "line 0\n") || !strings.Contains(text, "log lines were dropped") || strings.Count(text, "\n") > maxQueued+3 {
		t.Errorf("got %.80q in %d lines", text, strings.Count(text, "\n"))
	}
	fmt.Fprintln(s, "too late")
}

func TestLogSinkSurvivesErrors(t *testing.T) {
	w := &stubbornWriter{take: make(chan struct{}), fail: true}
	close(w.take)
	s := newLogSink(w)
	for i := range maxQueued {
		fmt.Fprintln(s, "line", i)
	}
	s.close()
	<-s.done
}
