package webserver

import (
	"net/http"
	"testing"
	"time"
)

func TestScrapeTimeout(t *testing.T) {
	tests := []struct {
		name, header string
		want         time.Duration
	}{
		{"missing", "", 10 * time.Second},
		{"usual", "10", 9500 * time.Millisecond},
		{"fraction", "2.5", 2 * time.Second},
		{"at least half is left", "0.6", 300 * time.Millisecond},
		{"too long", "9999", 10 * time.Second},
		{"overflow", "1e300", 10 * time.Second},
		{"infinite", "+Inf", 10 * time.Second},
		{"no number", "soon", 10 * time.Second},
		{"NaN", "NaN", 10 * time.Second},
		{"zero", "0", 10 * time.Second},
		{"too short", "1e-9", 10 * time.Second},
		{"negative", "-3", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			h.Set(TimeoutHeader, tt.header)
			if got := scrapeTimeout(h); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
