package webserver

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestScrapesShareOneAnswer has many ask while one answer is being put together.
func TestScrapesShareOneAnswer(t *testing.T) {
	var rendered atomic.Int32
	release := make(chan struct{})
	x := NewAnswers(slog.New(slog.DiscardHandler), 0, func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		rendered.Add(1)
		<-release
		_, _ = w.Write([]byte("all"))
	})
	var got sync.WaitGroup
	for range 50 {
		got.Go(func() {
			if a := x.answer(httptest.NewRequest(http.MethodGet, "/metrics", nil)); a == nil || a.body.String() != "all" {
				t.Errorf("got %+v", a)
			}
		})
	}
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if a := x.answer(httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(gone)); a != nil {
		t.Error("a client that has hung up was answered")
	}
	close(release)
	got.Wait()
	if n := rendered.Load(); n == 0 || n > 50 {
		t.Errorf("got %d Answers", n)
	}
}

// TestAnswersTakeTurnsInMemory gives the memory of an answer to the next, but not
// while somebody may still send it.
func TestAnswersTakeTurnsInMemory(t *testing.T) {
	whole, other := strings.Repeat("first", 100), strings.Repeat("other", 100)
	text := whole
	x := NewAnswers(slog.New(slog.DiscardHandler), 0, func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text))
	})
	ask := func() *rendering { return x.answer(httptest.NewRequest(http.MethodGet, "/metrics", nil)) }
	first := ask()
	text = other
	if second := ask(); first.body.String() != whole || second.body.String() != other {
		t.Errorf("got %q and then %q", first.body.String(), second.body.String())
	}
	memory := &first.body.Bytes()[0]
	x.leave(first)
	eventually(t, "the memory of the first answer", func() bool {
		third := ask()
		defer x.leave(third)
		return &third.body.Bytes()[0] == memory
	})
	text = "little" // which is not to keep the memory of much
	eventually(t, "that memory is let go", func() bool {
		x.leave(ask())
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.spare.Cap() == 0
	})
}

func TestPanicIsAnAnswer(t *testing.T) {
	x := NewAnswers(slog.New(slog.DiscardHandler), 0, func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic("broken")
	})
	for range 2 {
		if a := x.answer(httptest.NewRequest(http.MethodGet, "/metrics", nil)); a.status != http.StatusInternalServerError || a.body.Len() != 0 {
			t.Errorf("got %d with %q", a.status, a.body.String())
		}
	}
}

// TestFlavoursAreFew asks for what differs only in ways that cannot matter.
func TestFlavoursAreFew(t *testing.T) {
	seen := make(map[asked]bool)
	for i := range 10_000 {
		h := http.Header{}
		h.Set("Accept-Encoding", "x"+time.Duration(i).String())
		h.Set(TimeoutHeader, time.Duration(i).String()[:1]+".0"+time.Duration(i).String()[:1])
		h.Set("Accept", "text/plain;q=0."+time.Duration(i).String()[:1])
		seen[newAsked(h)] = true
	}
	if len(seen) > 16 {
		t.Errorf("got %d different answers, want at most 16", len(seen))
	}
}

// TestPace holds that scrapes at a usual rate are never put off, and others by
// half a second at most.
func TestPace(t *testing.T) {
	var p pace
	for range 100 {
		p.spent(9 * time.Millisecond)
	}
	if p.used >= time.Second {
		t.Errorf("got %v used by what took 900 ms", p.used)
	}
	p.spent(time.Hour)
	if late := 2 * (p.used - time.Second); late > 500*time.Millisecond || late < 400*time.Millisecond {
		t.Errorf("got a delay of %v", late)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.wait(ctx)
	p.at = p.at.Add(-time.Hour)
	p.spent(0)
	if p.used != 0 {
		t.Errorf("got %v used after an hour", p.used)
	}
}

func TestRoundDown(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		1: 1, 7: 7, 8: 8, 9: 8, 11: 10, 15: 14, 1000: 896, 1 << 40: 1 << 40, 1<<40 - 1: 7 << 37,
	} {
		if got := roundDown(d); got != want {
			t.Errorf("got %d of %d, want %d", got, d, want)
		}
	}
}
