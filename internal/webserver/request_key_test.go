package webserver

import (
	"net/http"
	"testing"
	"time"
)

// TestFewRequestKeys varies the headers in ways that do not change the response.
func TestFewRequestKeys(t *testing.T) {
	keys := make(map[requestKey]bool)
	for i := range 10_000 {
		text := time.Duration(i).String()
		h := http.Header{}
		h.Set("Accept-Encoding", "x"+text)
		h.Set(TimeoutHeader, text[:1]+".0"+text[:1])
		keys[newRequestKey("text/plain", h)] = true
	}
	if len(keys) > 16 {
		t.Errorf("got %d distinct keys, want at most 16", len(keys))
	}
}

func TestRoundDown(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		1: 1, 7: 7, 8: 8, 9: 8, 11: 10, 15: 14, 1000: 896, 1 << 40: 1 << 40, 1<<40 - 1: 7 << 37,
	} {
		if got := roundDown(d); got != want {
			t.Errorf("got %d for %d, want %d", got, d, want)
		}
	}
}
