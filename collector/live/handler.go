package live

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The paths that a [Handler] answers.
const (
	PagePath   = "/"
	ScriptPath = "/page.js"
	StylePath  = "/page.css"
	GroupsPath = "/api/v1/groups"
)

const (
	// maxWait is how long a request waits for a walk.
	maxWait = 10 * time.Second

	// maxAnswers is how many are put together at the same time. With thousands of
	// groups each takes a megabyte or two.
	maxAnswers = 4
)

// policy lets the page load what lies beside it, and nothing from anywhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page
var pageFiles embed.FS

// A Handler answers requests for the page and for what it shows.
type Handler struct {
	recorder *Recorder
	routes   map[string]http.HandlerFunc
	slots    chan struct{}
}

// NewHandler returns a Handler of what r has seen. The page has a link to the
// metrics at metricsPath.
func NewHandler(r *Recorder, metricsPath string) (*Handler, error) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	parsed, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := parsed.Execute(&page, strings.TrimPrefix(metricsPath, "/")); err != nil {
		return nil, err
	}
	script, err := fs.ReadFile(files, "page.js")
	if err != nil {
		return nil, err
	}
	style, err := fs.ReadFile(files, "page.css")
	if err != nil {
		return nil, err
	}
	h := &Handler{recorder: r, slots: make(chan struct{}, maxAnswers)}
	h.routes = map[string]http.HandlerFunc{
		PagePath:   fixed("text/html; charset=utf-8", page.Bytes()),
		ScriptPath: fixed("text/javascript; charset=utf-8", script),
		StylePath:  fixed("text/css; charset=utf-8", style),
		GroupsPath: h.serveGroups,
	}
	return h, nil
}

// Paths returns all that the Handler answers.
func (h *Handler) Paths() []string {
	var out []string
	for path := range h.routes {
		out = append(out, path)
	}
	return out
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve, found := h.routes[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Vary", "Accept-Encoding")
	serve(w, r)
}

// serveGroups answers with a [Report], of all groups or of those of one name.
func (h *Handler) serveGroups(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	body, status := h.groups(r.Context(), query.Has("group"), query.Get("group"))
	switch status {
	case http.StatusOK:
		w.Header().Set("Cache-Control", "no-store")
		send(w, r, "application/json", body)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
		fallthrough
	default:
		http.Error(w, string(body), status)
	}
}

// groups returns a [Report] as JSON, or what to say instead. Only so many are made at
// a time: to send one may take as long as its client likes.
func (h *Handler) groups(ctx context.Context, one bool, name string) (body []byte, status int) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return []byte("Too many ask at the same time."), http.StatusServiceUnavailable
	}
	var report Report
	if !one {
		report = h.recorder.Report(ctx)
	} else if report = h.recorder.Detail(ctx, name); len(report.Groups) == 0 && report.Exporter.ScrapeSuccess {
		return []byte("There is no group " + strconv.Quote(name) + "."), http.StatusNotFound
	}
	body, err := json.Marshal(report)
	if err != nil {
		return []byte("Cannot tell: " + err.Error()), http.StatusInternalServerError
	}
	return body, http.StatusOK
}

// fixed returns a handler of what never changes while the program runs, but may
// be another in its next version.
func fixed(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		send(w, r, contentType, body)
	}
}

// send answers with body, compressed for whom understands that. A client that
// hangs up meanwhile is no error.
func send(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(body) > 1<<10 {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that exists
		_, _ = z.Write(body)
		_ = z.Close()
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
