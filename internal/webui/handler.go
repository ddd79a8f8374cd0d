package webui

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
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

	// maxDetails is how many answers about single groups are put together at the same
	// time. There is no queue for more: who asks for thousands keeps nobody waiting.
	maxDetails = 8
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
	details  chan struct{} // has maxDetails places
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
	h := &Handler{recorder: r, details: make(chan struct{}, maxDetails)}
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
	ctx, cancel := context.WithTimeout(r.Context(), maxWait)
	defer cancel()
	p := h.recorder.look(ctx)
	e := h.recorder.exporter(p)
	var (
		b   *body
		err error
	)
	if name := query.Get("group"); query.Has("group") {
		b, err = h.detail(p, e, name)
	} else {
		b, err = p.all(e)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	b.send(w, r)
}

// A refusal is what a request is answered with that gets no [Report].
type refusal struct {
	status int
	text   string
}

// Error implements error.
func (no refusal) Error() string { return no.text }

func refuse(w http.ResponseWriter, err error) {
	no := refusal{http.StatusInternalServerError, "Cannot tell: " + err.Error()}
	errors.As(err, &no)
	if no.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, no.text, no.status)
}

// detail tells of the groups of one name. Only so many do so at a time, and none of
// them while it sends: that may take as long as its client likes.
func (h *Handler) detail(p *past, e Exporter, name string) (*body, error) {
	select {
	case h.details <- struct{}{}:
		defer func() { <-h.details }()
	default:
		return nil, refusal{http.StatusServiceUnavailable, "Too many ask at the same time."}
	}
	report := p.detail(e, name)
	if len(report.Groups) == 0 && e.ScrapeSuccess {
		return nil, refusal{http.StatusNotFound, fmt.Sprintf("There is no group %q.", name)}
	}
	return jsonBody(report)
}

// fixed returns a handler of what never changes while the program runs, but may
// be another in its next version.
func fixed(contentType string, text []byte) http.HandlerFunc {
	b := newBody(contentType, text)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		b.send(w, r)
	}
}
