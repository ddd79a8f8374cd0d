package webserver

import (
	"net/http"
	"testing"
	"time"
)

func TestDeadline(t *testing.T) {
	tests := []struct {
		name, header string
		want         time.Duration
	}{
		{"none", "", 10 * time.Second},
		{"usual", "10", 9500 * time.Millisecond},
		{"fraction", "2.5", 2 * time.Second},
		{"half a second must be left", "0.6", 300 * time.Millisecond},
		{"too long", "9999", 10 * time.Second},
		{"overflowing", "1e300", 10 * time.Second},
		{"endless", "+Inf", 10 * time.Second},
		{"no number", "soon", 10 * time.Second},
		{"not a number", "NaN", 10 * time.Second},
		{"zero", "0", 10 * time.Second},
		{"as good as zero", "1e-9", 10 * time.Second},
		{"negative", "-3", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			h.Set(TimeoutHeader, tt.header)
			if got := deadlineOf(h); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
