package webserver

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func newScrape() *http.Request { return httptest.NewRequest(http.MethodGet, "/metrics", nil) }

// newTestCoalescer returns a Coalescer without limit and with one variant per
// Accept header.
func newTestCoalescer(render Renderer) *Coalescer {
	return NewCoalescer(CoalescerOptions{
		Logger:  slog.New(slog.DiscardHandler),
		Render:  render,
		CPUTime: func() time.Duration { return 0 },
		Variant: func(r *http.Request) string { return r.Header.Get("Accept") },
	})
}

// TestConcurrentRequestsShareOneResponse sends requests while a response is
// being rendered.
func TestConcurrentRequestsShareOneResponse(t *testing.T) {
	const requests = 50
	var renders atomic.Int32
	release := make(chan struct{})
	c := newTestCoalescer(func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		renders.Add(1)
		<-release
		_, _ = w.Write([]byte("all"))
	})
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			if res := c.await(newScrape()); res == nil || res.body.String() != "all" {
				t.Errorf("got %+v, want a response with body %q", res, "all")
			}
		})
	}
	testenv.WaitFor(t, "all requests to wait", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, res := range c.inFlight {
			return res.refs == requests+1
		}
		return false
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := c.await(newScrape().WithContext(ctx)); res != nil {
		t.Errorf("got response %+v for a disconnected client, want none", res)
	}
	close(release)
	all.Wait()
	if n := renders.Load(); n != 1 {
		t.Errorf("got %d renders, want 1", n)
	}
}

func (b *responseBody) String() string { return string(bytes.Join(b.blocks, nil)) }

// TestBufferReuse requires that a response reuses the buffer of a released one,
// but not of one in use, and that blocks that a response does not need are dropped.
func TestBufferReuse(t *testing.T) {
	text1, text2 := strings.Repeat("first", 200_000), strings.Repeat("other", 200_000)
	text := text1
	c := newTestCoalescer(func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text))
	})
	first := c.await(newScrape())
	text = text2
	if second := c.await(newScrape()); first.body.String() != text1 || second.body.String() != text2 {
		t.Errorf("got responses of %d and %d bytes, want two of %d with their texts", first.body.size, second.body.size, len(text1))
	}
	memory := &first.body.blocks[0][0]
	c.release(first)
	testenv.WaitFor(t, "reuse of the first buffer", func() bool {
		third := c.await(newScrape())
		defer c.release(third)
		return &third.body.blocks[0][0] == memory
	})
	text = "short"
	short := c.await(newScrape()) // its client may not read it for a long time
	defer c.release(short)
	spare := short.body.blocks[len(short.body.blocks):cap(short.body.blocks)]
	if slices.ContainsFunc(spare, func(block []byte) bool { return block != nil }) {
		t.Errorf("got %d blocks of an earlier response, want none", len(spare))
	}
}

func TestPanicIsStatus500(t *testing.T) {
	c := newTestCoalescer(func(_ context.Context, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic("broken")
	})
	for range 2 {
		if res := c.await(newScrape()); res.status != http.StatusInternalServerError || res.body.size != 0 {
			t.Errorf("got status %d and body %q, want status 500 and no body", res.status, res.body.String())
		}
	}
}

// TestDeadlinesOfConcurrentRequests sends requests with short and different
// deadlines. A request with a longer deadline must get a complete response, and
// must not be rejected.
func TestDeadlinesOfConcurrentRequests(t *testing.T) {
	synctest.Test(t, checkConcurrentDeadlines)
}

func checkConcurrentDeadlines(t *testing.T) {
	release := make(chan struct{})
	c := newTestCoalescer(func(ctx context.Context, w http.ResponseWriter, _ *http.Request) {
		select {
		case <-release:
			_, _ = io.WriteString(w, "all")
		case <-ctx.Done():
			_, _ = io.WriteString(w, "part")
		}
	})
	send := func(seconds string) chan *response {
		r := newScrape()
		r.Header.Set(TimeoutHeader, seconds)
		got := make(chan *response, 1)
		go func() { got <- c.await(r) }()
		return got
	}
	wantInFlight := func(n int) {
		t.Helper()
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.inFlight) != n {
			t.Fatalf("got %d responses in flight, want %d", len(c.inFlight), n)
		}
	}
	var short []chan *response
	for _, seconds := range []string{"0.6", "0.8", "1", "1.3"} {
		short = append(short, send(seconds))
	}
	wantInFlight(maxDistinctKeys)
	long := send("60")
	joining := send("0.7") // joins a response with a longer deadline
	wantInFlight(maxDistinctKeys + 1)
	for _, got := range short {
		if res := <-got; res.body.String() == "all" {
			t.Errorf("got %q before the deadline, want %q", "all", "part")
		}
	}
	close(release)
	if res := <-long; res.status != http.StatusOK || res.body.String() != "all" {
		t.Errorf("got status %d and body %q, want 200 and %q", res.status, res.body.String(), "all")
	}
	<-joining
}

// TestDeadlineBeforeRender requires status 503 if all render slots are in use
// until the deadline.
func TestDeadlineBeforeRender(t *testing.T) {
	c := newTestCoalescer(func(context.Context, http.ResponseWriter, *http.Request) {
		t.Error("got a render, want none")
	})
	for range cap(c.renders) {
		c.renders <- struct{}{}
	}
	r := newScrape()
	r.Header.Set(TimeoutHeader, "0.2")
	w := httptest.NewRecorder()
	if c.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got status %d and header %v, want 503 and Retry-After: 1", w.Code, w.Header())
	}
}

// TestThrottle scrapes for a minute of simulated time. Beyond two seconds of CPU time, renders
// use 5 % of the time.
func TestThrottle(t *testing.T) {
	tests := []struct {
		name          string
		cost          time.Duration // CPU time of a render
		interval      time.Duration // between the end of a scrape and the next one
		timeout       string        // of the client, in seconds
		minimum, most int           // number of renders
		longestDelay  time.Duration
	}{
		{"loop", 20 * time.Millisecond, 0, "10", 200, 100 + 155, time.Second},
		{"loop with a short timeout", 20 * time.Millisecond, 0, "2.5", 200, 100 + 155, time.Second},
		{"slow scrapes in a loop", 200 * time.Millisecond, 0, "10", 50, 10 + 50, time.Second},
		{"the timeout is a second", 40 * time.Millisecond, 0, "1", 200, 50 + 220, 250 * time.Millisecond},
		{"the timeout is 0.1 s", 40 * time.Millisecond, 0, "0.1", 50, 50 + 80, 50 * time.Millisecond},
		{"Prometheus", 200 * time.Millisecond, 5 * time.Second, "10", 12, 12, 0},
		{"two servers per second", 20 * time.Millisecond, 500 * time.Millisecond, "1", 115, 120, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				renders, longest := 0, time.Duration(0)
				c := newTestCoalescer(func(context.Context, http.ResponseWriter, *http.Request) {
					time.Sleep(tt.cost)
					renders++
				})
				c.cpuTime = func() time.Duration { return time.Duration(renders) * tt.cost }
				r := newScrape()
				r.Header.Set(TimeoutHeader, tt.timeout)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(tt.interval) {
					start := time.Now()
					c.release(c.await(r))
					longest = max(longest, time.Since(start)-tt.cost)
				}
				if renders < tt.minimum || renders > tt.most || longest > tt.longestDelay {
					t.Errorf("got %d renders in a minute and a delay of %v, want %d to %d and at most %v",
						renders, longest, tt.minimum, tt.most, tt.longestDelay)
				}
			})
		})
	}
}

// TestThrottleOfCanceledRequest cancels a request that the throttle delays.
func TestThrottleOfCanceledRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		th.record(throttleBurst + maxThrottleDelay/throttleShare)
		ctx, cancel := context.WithCancel(context.Background())
		const after = 10 * time.Millisecond
		time.AfterFunc(after, cancel)
		start := time.Now()
		if waited := th.wait(ctx); waited || time.Since(start) != after {
			t.Errorf("got %v after %v, want false after %v", waited, time.Since(start), after)
		}
		if delay := th.delay(); delay <= 0 {
			t.Errorf("got a delay of %v, want that the throttle still delays", delay)
		}
	})
}

// TestPacer sends requests for a minute of simulated time.
func TestPacer(t *testing.T) {
	tests := []struct {
		name     string
		clients  int
		interval time.Duration // between a response and the next request of a client
		most     int           // number of requests
		delayed  bool
	}{
		{"one client in a loop", 1, 0, pacerBurst + 60*pacerRate, true},
		{"ten clients in a loop", 10, 0, pacerBurst + 60*(pacerRate+10*20), true},
		{"fifty scrapers", 50, time.Second, 50 * 60, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var requests, delayed atomic.Int32
				h := newAccessHandler(t, func(http.ResponseWriter, *http.Request) {
					requests.Add(1)
					time.Sleep(time.Millisecond)
				})
				end := time.Now().Add(time.Minute)
				var all sync.WaitGroup
				for range tt.clients {
					all.Go(func() {
						for time.Now().Before(end) {
							start := time.Now()
							h.ServeHTTP(httptest.NewRecorder(), newScrape())
							switch took := time.Since(start) - time.Millisecond; {
							case took > pacerDelay:
								t.Errorf("got a delay of %v, want at most %v", took, pacerDelay)
							case took > 0:
								delayed.Add(1)
							}
							time.Sleep(tt.interval)
						}
					})
				}
				all.Wait()
				if n := int(requests.Load()); n > tt.most || n < tt.most*8/10 || delayed.Load() > 0 != tt.delayed {
					t.Errorf("got %d requests, %d of them delayed; want at most %d, delayed %v", n, delayed.Load(), tt.most, tt.delayed)
				}
			})
		})
	}
}

// newAccessHandler returns a handler without a web configuration.
func newAccessHandler(t *testing.T, next http.HandlerFunc) *accessHandler {
	t.Helper()
	return &accessHandler{web: &WebConfig{log: slog.New(slog.DiscardHandler), current: new(webSettings)}, auth: newAuthenticator(), next: next}
}
