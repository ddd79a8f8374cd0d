package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// fallenBack is a Source that reads /proc since the kernel refused its programs.
type fallenBack struct {
	platform.Source
	why error
}

func (f fallenBack) Kind() (platform.Kind, error) { return platform.KindProcfs, f.why }

// refusal is an error of which there is more to say than fits into a line.
type refusal struct{ error }

func (refusal) Detail() string { return "R9 !read_ok\nand 1,000 lines more" }

// TestVerifierLog shows what the kernel's verifier said to those who debug, and
// to the others one line about it.
func TestVerifierLog(t *testing.T) {
	why := fmt.Errorf("platform: %w", refusal{errors.New("bpf: load: not accepted")})
	for level, want := range map[slog.Level]int{slog.LevelInfo: 1, slog.LevelDebug: 2} {
		var text strings.Builder
		e := &exporter{
			log:     slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: level})),
			tracker: grouping.NewTracker(fallenBack{why: why}, grouping.Default(), grouping.Options{}),
		}
		e.logSource()
		lines := strings.Count(text.String(), "\n")
		if lines != want || !strings.Contains(text.String(), "not accepted") || strings.Contains(text.String(), "R9") != (level == slog.LevelDebug) {
			t.Errorf("%v: got %d lines, want %d: %s", level, lines, want, text.String())
		}
	}
}
