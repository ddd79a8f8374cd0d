package main

import (
	"bytes"
	"context"
	"log/slog"
	"math/bits"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
)

// maxRendering is how many answers are put together at the same time. Each
// takes as much memory as it is long.
const maxRendering = 2

// renderings lets all scrapers that ask the same thing at the same time share
// one answer: a burst costs one walk and one rendering, and a client that is
// slow to fetch its own holds up nobody.
type renderings struct {
	render func(ctx context.Context, w http.ResponseWriter, r *http.Request)
	log    *slog.Logger
	slots  chan struct{}
	pace   pace

	mu      sync.Mutex // guards running, spare and what answers say of themselves
	running map[asked]*rendering
	spare   bytes.Buffer // the memory of an answer that nobody needs any more
}

// asked is all that an answer depends on. It has few values, so that clients
// cannot keep the exporter busy by each asking a little differently.
type asked struct {
	format   expfmt.Format
	gzip     bool
	deadline time.Duration
}

func newAsked(h http.Header) asked {
	return asked{format: answerFormat(h), gzip: acceptsGzip(h), deadline: roundDown(scrapeDeadline(h))}
}

// acceptsGzip reports whether the client understands gzip, the only encoding
// there is.
func acceptsGzip(h http.Header) bool {
	for _, header := range h.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(header, ",") {
			name, weight, _ := strings.Cut(strings.ReplaceAll(item, " ", ""), ";")
			if name == "gzip" {
				return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
			}
		}
	}
	return false
}

// roundDown cuts d behind its first three binary digits, so that there are few
// different ones, and none loses more than a fifth of its time.
func roundDown(d time.Duration) time.Duration {
	rest := max(0, bits.Len64(uint64(d))-3)
	return d >> rest << rest
}

// maxFlavours is how many different answers are put together at a time before
// deadlines do not count as a difference any more.
const maxFlavours = 4

// find returns the answer that is being put together for key, nil if there is none.
func (x *renderings) find(key asked) *rendering {
	if a := x.running[key]; a != nil || len(x.running) < maxFlavours {
		return a
	}
	for other, a := range x.running {
		if other.format == key.format && other.gzip == key.gzip {
			return a
		}
	}
	return nil
}

// A rendering is one answer. It is whole, and does not change, once done is
// closed.
type rendering struct {
	done   chan struct{}
	header http.Header
	status int
	body   bytes.Buffer
	users  int // who puts it together, and who is to send it
}

func newRenderings(log *slog.Logger, render func(context.Context, http.ResponseWriter, *http.Request)) *renderings {
	return &renderings{
		render: render, log: log,
		slots: make(chan struct{}, maxRendering), running: make(map[asked]*rendering),
	}
}

// answer returns the answer to r, nil if the client hangs up before it is there.
// Who has sent it says so by leave.
func (x *renderings) answer(r *http.Request) *rendering {
	key := newAsked(r.Header)
	x.mu.Lock()
	a := x.find(key)
	if a == nil {
		a = &rendering{done: make(chan struct{}), header: make(http.Header), status: http.StatusOK, body: x.spare, users: 1}
		x.spare = bytes.Buffer{}
		x.running[key] = a
		// It does not end with the client that began it, for others may have joined.
		request := r.Clone(context.Background())
		request.Header.Del("Accept-Encoding")
		if key.gzip {
			request.Header.Set("Accept-Encoding", "gzip")
		}
		go x.run(a, key, request)
	}
	a.users++
	x.mu.Unlock()
	select {
	case <-a.done:
		return a
	case <-r.Context().Done():
		x.leave(a)
		return nil
	}
}

// leave says that a is not used any more by one that did. After the last the
// next answer takes its memory, which is hundreds of kilobytes at every scrape.
func (x *renderings) leave(a *rendering) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.users--; a.users == 0 {
		a.body.Reset()
		x.spare = a.body
	}
}

// run puts an answer together. A failure here must not take down the exporter,
// as a panic would that no server catches.
func (x *renderings) run(a *rendering, key asked, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.Background(), key.deadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			x.log.Error("A scrape failed", "panic", p, "stack", string(debug.Stack()))
			a.header, a.status = make(http.Header), http.StatusInternalServerError
			a.body.Reset()
		}
		x.mu.Lock()
		delete(x.running, key)
		x.mu.Unlock()
		close(a.done)
		x.leave(a)
	}()
	x.pace.wait(ctx)
	start := time.Now()
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		a.header.Set("Retry-After", "1")
		a.status = http.StatusServiceUnavailable
		return
	}
	x.render(ctx, a, r)
	x.pace.spent(time.Since(start))
}

// Header implements [http.ResponseWriter], as the next two do.
func (a *rendering) Header() http.Header { return a.header }

// WriteHeader takes down the status.
func (a *rendering) WriteHeader(status int) { a.status = status }

// Write takes down a part of the answer.
func (a *rendering) Write(p []byte) (int, error) { return a.body.Write(p) }

// send sends a to one of its clients, who may hang up.
func (a *rendering) send(w http.ResponseWriter, r *http.Request) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	sending(w, r, func() {
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body.Bytes())
	})
}

// A pace keeps scrapes from taking a whole core, however many come: beyond a
// second's worth of them, they run for half of the time. What a scrape shows is
// never older for it; it begins later, and more clients share it.
type pace struct {
	mu   sync.Mutex // guards what follows
	used time.Duration
	at   time.Time // when used was right
}

// maxUsed bounds how long a scrape is put off: by twice what it is above a second.
const maxUsed = 1250 * time.Millisecond

func (p *pace) settle(now time.Time) {
	p.used = max(0, p.used-now.Sub(p.at)/2)
	p.at = now
}

// spent books the time that a scrape took.
func (p *pace) spent(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(time.Now())
	p.used = min(p.used+d, maxUsed)
}

// wait waits until a scrape may begin, or ctx ends.
func (p *pace) wait(ctx context.Context) {
	p.mu.Lock()
	p.settle(time.Now())
	late := 2 * (p.used - time.Second)
	p.mu.Unlock()
	if late <= 0 {
		return
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
