package webserver

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// maxRendering is how many answers are put together at the same time. Each
// takes as much memory as it is long.
const maxRendering = 2

// A Renderer puts the answer to a request together, in the format that
// [FormatOf] says and with gzip where the request accepts it.
type Renderer func(ctx context.Context, w http.ResponseWriter, r *http.Request)

// Answers lets all scrapers that ask the same thing at the same time share
// one answer: a burst costs one walk and one rendering, and a client that is
// slow to fetch its own holds up nobody.
type Answers struct {
	render  Renderer
	log     *slog.Logger
	waiting slots
	slots   chan struct{} // of those that are put together
	pace    pace

	mu      sync.Mutex // guards running, spare and what answers say of themselves
	running map[asked]*rendering
	spare   bytes.Buffer // the memory of an answer that nobody needs any more
}

// maxFlavours is how many different answers are put together at a time before who
// has less time than another joins that one. Who has more does not: it would get what
// there was no time for.
const maxFlavours = 4

// find returns the answer that is being put together for key, nil if there is none.
func (x *Answers) find(key asked) *rendering {
	if a := x.running[key]; a != nil || len(x.running) < maxFlavours {
		return a
	}
	for other, a := range x.running {
		if other.format == key.format && other.gzip == key.gzip && other.deadline >= key.deadline {
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

// NewAnswers returns the answers that render puts together, for at most
// maxRequests clients that wait for theirs; 0 is no limit.
func NewAnswers(log *slog.Logger, maxRequests int, render Renderer) *Answers {
	return &Answers{
		render: render, log: log, waiting: newSlots(maxRequests),
		slots: make(chan struct{}, maxRendering), running: make(map[asked]*rendering),
	}
}

// ServeHTTP finds the answer and sends it. Only the first takes a slot: a
// client that is slow to fetch its answer keeps no other from being served.
func (x *Answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !x.waiting.take() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too many scrapes at the same time, the limit is --web.max-requests="+strconv.Itoa(cap(x.waiting))+".", http.StatusServiceUnavailable)
		return
	}
	a := x.answer(r)
	x.waiting.give()
	if a != nil {
		defer x.leave(a)
		a.send(w, r)
	}
}

// answer returns the answer to r, nil if the client hangs up before it is there.
// Who has sent it says so by leave.
func (x *Answers) answer(r *http.Request) *rendering {
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
// next answer takes its memory, which is hundreds of kilobytes at every scrape,
// unless much more of it is left from a larger answer.
func (x *Answers) leave(a *rendering) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.users--; a.users == 0 && a.body.Cap() <= 4*a.body.Len() {
		a.body.Reset()
		x.spare = a.body
	}
}

// run puts an answer together. A failure here must not take down the exporter,
// as a panic would that no server catches.
func (x *Answers) run(a *rendering, key asked, r *http.Request) {
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
