package inspect

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// TestErrorText checks the text in place of a value that cannot be read.
func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"- (zombie)":        fmt.Errorf("read: %w", process.ErrZombie),
		"- (gone)":          process.ErrGone,
		"- (access denied)": process.ErrAccessDenied,
		"- (not supported)": process.ErrUnsupported,
		"- (unresponsive)":  ErrUnresponsive,
		"- (too large)":     process.ErrTooLarge,
		"- (two lines)":     errors.New("two\n lines"),
	} {
		if got := errorText(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// TestWriteValue checks the lines of each kind of value.
func TestWriteValue(t *testing.T) {
	long := make([]any, maxListLines+3)
	for i := range long {
		long[i] = i
	}
	tests := []struct {
		name, attr string
		attrs      []string
		value      any
		want       string // with single spaces
		lines      int
	}{
		{name: "text", attr: "name", value: "a\x1b", want: `name a\x1b`, lines: 1},
		{name: "nothing", attr: "terminal", value: nil, want: "terminal -", lines: 1},
		{
			name: "seconds", attr: "cpu_times", value: object{{"user", 1.5}, {"system", 0.25}},
			want: "cpu_times user 1.50 s, system 0.25 s", lines: 1,
		},
		{name: "bytes", attr: "memory_info", value: object{{"rss", uint64(2048)}}, want: "memory_info rss 2.0 KiB", lines: 1},
		{name: "other unit", attr: "io_counters", value: object{{"read_count", uint64(2048)}}, want: "io_counters read_count 2048", lines: 1},
		{name: "environment", attr: "environ", value: object{{"A\n", "b"}}, want: `environ 1 A\n b`, lines: 2},
		{
			name: "list of objects", attr: "threads", value: []any{object{{"id", 7}, {"user_time", 0.5}}},
			want: "threads 1 id 7, user_time 0.50 s", lines: 2,
		},
		{name: "list of lists", attr: "x", value: []any{[]any{1, "a"}, []int{2, 3}}, want: "x 2 1 a 2 3", lines: 3},
		{name: "long list", attr: "x", value: long, want: "... and 3 more", lines: maxListLines + 2},
		{name: "long list, selected", attr: "x", attrs: []string{"x"}, value: long, want: "19 20 21 22", lines: maxListLines + 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			r := &Reporter{Attrs: tt.attrs}
			r.writeValue(&b, tt.attr, tt.value)
			got := strings.Join(strings.Fields(b.String()), " ")
			if !strings.HasSuffix(got, tt.want) || strings.Count(b.String(), "\n") != tt.lines {
				t.Errorf("got %q, want %q at the end of %d lines", b.String(), tt.want, tt.lines)
			}
		})
	}
}

func TestStyled(t *testing.T) {
	if got := (&Reporter{}).styled(bold, "x"); got != "x" {
		t.Errorf("got %q without colour, want x", got)
	}
	if got := (&Reporter{Colour: true}).styled(bold, "x"); got != bold+"x"+plain {
		t.Errorf("got %q with colour, want escape sequences", got)
	}
}
