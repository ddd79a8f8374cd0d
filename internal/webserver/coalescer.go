package webserver

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/collector/httpgzip"
)

// maxRenders is the number of responses that are rendered concurrently. Each
// uses as much memory as the response is long.
const maxRenders = 2

// A Renderer writes the response to r before ctx ends. It uses gzip if
// [httpgzip.Accepted] is true for the header of r.
type Renderer func(ctx context.Context, w http.ResponseWriter, r *http.Request)

// CoalescerOptions are the settings of a Coalescer.
type CoalescerOptions struct {
	Logger      *slog.Logger
	MaxRequests int // requests that wait for a response at a time, 0 for no limit
	Render      Renderer

	// CPUTime returns the CPU time that the process has used. It is the cost of a render.
	CPUTime func() time.Duration

	// Variant returns the variant of the response that a request selects, such as a
	// content type. It must have few distinct values.
	Variant func(*http.Request) string
}

// A Coalescer is an [http.Handler] that renders one response for all concurrent
// requests with the same requestKey. A burst of scrapes costs one walk and one
// render, and a client that reads slowly does not delay others.
type Coalescer struct {
	render   Renderer
	cpuTime  func() time.Duration
	variant  func(*http.Request) string
	log      *slog.Logger
	waiting  semaphore     // requests that wait for their response
	renders  chan struct{} // semaphore of size maxRenders
	throttle throttle

	mu         sync.Mutex // guards the fields below and response.refs
	inFlight   map[requestKey]*response
	freeBuffer responseBody // reused by the next response
}

// maxDistinctKeys is the number of different responses in flight from which on a
// request with a shorter deadline joins one with a longer deadline. The reverse
// never happens, because the response could be incomplete.
const maxDistinctKeys = 4

// find returns the response in flight that a request with this key can use, or
// nil.
func (c *Coalescer) find(key requestKey) *response {
	if res := c.inFlight[key]; res != nil || len(c.inFlight) < maxDistinctKeys {
		return res
	}
	for other, res := range c.inFlight {
		if other.variant == key.variant && other.gzip == key.gzip && other.timeout >= key.timeout {
			return res
		}
	}
	return nil
}

// A response is a buffered HTTP response. After done is closed it is complete
// and immutable.
type response struct {
	done   chan struct{}
	header http.Header
	status int
	body   responseBody
	refs   int // the goroutine that renders it, and the requests that use it
}

// NewCoalescer returns a Coalescer that calls o.Render.
func NewCoalescer(o CoalescerOptions) *Coalescer {
	return &Coalescer{
		render: o.Render, cpuTime: o.CPUTime, variant: o.Variant, log: o.Logger, waiting: newSemaphore(o.MaxRequests),
		renders: make(chan struct{}, maxRenders), inFlight: make(map[requestKey]*response),
	}
}

// ServeHTTP implements [http.Handler]. A request counts against CoalescerOptions.MaxRequests only
// until its response is rendered, so that slow readers do not block others.
func (c *Coalescer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.waiting.tryAcquire() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Limit of concurrent requests reached (--web.max-requests="+strconv.Itoa(cap(c.waiting))+"), try again later.",
			http.StatusServiceUnavailable)
		return
	}
	res := c.await(r)
	c.waiting.release()
	if res != nil {
		defer c.release(res)
		if conn := trackedConnOf(r); conn != nil {
			// Each Write has one block, but all blocks stay in memory.
			defer conn.endTransfer(conn.beginTransfer(res.body.blocks...))
		}
		res.send(w)
	}
}

// await returns the complete response to r, or nil if the client disconnects
// first. The caller must call release.
func (c *Coalescer) await(r *http.Request) *response {
	key := newRequestKey(c.variant(r), r.Header)
	c.mu.Lock()
	res := c.find(key)
	if res == nil {
		res = &response{done: make(chan struct{}), header: make(http.Header), status: http.StatusOK, body: c.freeBuffer, refs: 1}
		c.freeBuffer = responseBody{}
		c.inFlight[key] = res
		// The context is not the client's, because other requests may share the response.
		request := r.Clone(context.Background())
		request.Header.Del("Accept-Encoding")
		if key.gzip {
			request.Header.Set("Accept-Encoding", httpgzip.Encoding)
		}
		go c.run(res, key, request)
	}
	res.refs++
	c.mu.Unlock()
	select {
	case <-res.done:
		return res
	case <-r.Context().Done():
		c.release(res)
		return nil
	}
}

// release drops one reference to res. With the last one the buffer, which is
// hundreds of kilobytes per scrape, is kept for the next response.
func (c *Coalescer) release(res *response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if res.refs--; res.refs == 0 {
		res.body.reset()
		c.freeBuffer = res.body
	}
}

// run renders res. It recovers from panics: it runs in a goroutine for which net/http
// does not.
func (c *Coalescer) run(res *response, key requestKey, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.Background(), key.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic while rendering a response", "err", p, "stack", string(debug.Stack()))
			res.header, res.status = make(http.Header), http.StatusInternalServerError
			res.body.reset()
		}
		res.body.trim() // pendingBodies counts only the blocks that are in use
		c.mu.Lock()
		delete(c.inFlight, key)
		c.mu.Unlock()
		close(res.done)
		c.release(res)
	}()
	if !c.throttle.wait(ctx) || !c.acquireRender(ctx) {
		res.header.Set("Retry-After", "1")
		res.status = http.StatusServiceUnavailable
		return
	}
	defer func() { <-c.renders }()
	before := c.cpuTime()
	c.render(ctx, res, r)
	c.throttle.record(c.cpuTime() - before)
}

// acquireRender waits for a place in c.renders. It returns false if there is none before ctx ends.
func (c *Coalescer) acquireRender(ctx context.Context) bool {
	select {
	case c.renders <- struct{}{}:
		return true
	default:
	}
	select {
	case c.renders <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Header implements [http.ResponseWriter].
func (res *response) Header() http.Header { return res.header }

// WriteHeader implements [http.ResponseWriter].
func (res *response) WriteHeader(status int) { res.status = status }

// Write implements [http.ResponseWriter].
func (res *response) Write(p []byte) (int, error) { return res.body.Write(p) }

// send writes res to one client. Write errors are ignored: the client has
// disconnected.
func (res *response) send(w http.ResponseWriter) {
	for name, values := range res.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(res.body.size))
	w.WriteHeader(res.status)
	_, _ = res.body.WriteTo(w)
}
