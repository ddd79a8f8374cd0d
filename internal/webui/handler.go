package webui

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/prometheus/common/version"
)

// Paths that a [Handler] serves, in addition to the files of the page.
const (
	PagePath      = "/"
	GroupsPath    = "/api/v1/groups"
	ProcessesPath = "/api/v1/processes"
	HistoryPath   = "/api/v1/history"
)

// pageTemplate is the file of the page itself.
const pageTemplate = "page.html"

// contentTypes are the types of the files of the page by extension.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".txt": "text/plain; charset=utf-8",
}

const (
	// walkTimeout is the time for which a request waits for a walk.
	walkTimeout = 10 * time.Second

	// maxDetails is the maximum number of detail responses that are encoded at
	// the same time. Further requests are rejected, not queued.
	maxDetails = 8
)

// contentSecurityPolicy allows the page to load its own files only.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page
var pageFiles embed.FS

// A Handler serves the page and its JSON.
type Handler struct {
	recorder *Recorder
	options  HandlerOptions
	routes   map[string]http.HandlerFunc
	details  chan struct{} // semaphore of maxDetails
}

// HandlerOptions are the settings of a [Handler].
type HandlerOptions struct {
	MetricsPath string // to which the page links

	// ShowsProcesses reports whether the response to a request may contain single
	// processes, with their users and command lines.
	ShowsProcesses func(*http.Request) bool
}

// NewHandler returns a Handler of the walks of r.
func NewHandler(r *Recorder, o HandlerOptions) (*Handler, error) {
	parsed, err := template.ParseFS(pageFiles, "page/"+pageTemplate)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	data := struct{ MetricsPath, Version, Hostname string }{strings.TrimPrefix(o.MetricsPath, "/"), version.Version, r.machine.hostname}
	if err := parsed.Execute(&page, data); err != nil {
		return nil, err
	}
	h := &Handler{recorder: r, options: o, details: make(chan struct{}, maxDetails)}
	h.routes = map[string]http.HandlerFunc{
		PagePath:      static("text/html; charset=utf-8", page.Bytes()),
		GroupsPath:    h.serveGroups,
		ProcessesPath: h.serveProcesses,
		HistoryPath:   h.serveHistory,
	}
	for _, file := range staticPaths() {
		text, err := pageFiles.ReadFile("page" + file)
		if err != nil {
			return nil, err
		}
		h.routes[file] = static(contentTypes[path.Ext(file)], text)
	}
	return h, nil
}

// staticPaths returns the paths of the files of the page.
func staticPaths() []string {
	entries, _ := pageFiles.ReadDir("page") // the directory is part of the program
	var out []string
	for _, e := range entries {
		if e.Name() != pageTemplate {
			out = append(out, "/"+e.Name())
		}
	}
	return out
}

// Paths returns all paths that a Handler serves.
func Paths() []string { return append(staticPaths(), PagePath, GroupsPath, ProcessesPath, HistoryPath) }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve, found := h.routes[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Vary", "Accept-Encoding")
	serve(w, r)
}

// serveGroups serves a [Report] of all groups, or of the groups with the name
// that the query parameter group contains. With history=resident_bytes, all
// groups have the history of their resident memory.
func (h *Handler) serveGroups(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	ctx, cancel := context.WithTimeout(r.Context(), walkTimeout)
	defer cancel()
	s := h.recorder.recording(ctx)
	e := h.recorder.reportStatus(ctx, s)
	var (
		encoded *response
		err     error
	)
	switch name, history := query.Get("group"), query.Get("history"); {
	case query.Has("group"):
		encoded, err = h.detail(s, e, name)
	case history == historyMetrics[historyResident]:
		encoded, err = s.encodeWithMemory(e)
	case history != "":
		err = statusError{http.StatusBadRequest, fmt.Sprintf("invalid value %q of the parameter history: use resident_bytes", history)}
	default:
		encoded, err = s.encodeAll(e)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	encoded.send(w, r)
}

// A statusError is an error with an HTTP status.
type statusError struct {
	status int
	text   string
}

// Error implements error.
func (e statusError) Error() string { return e.text }

func writeError(w http.ResponseWriter, err error) {
	e := statusError{http.StatusInternalServerError, "Cannot encode the report: " + err.Error()}
	errors.As(err, &e)
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, e.text, e.status)
}

// detail encodes the report of the groups with one name.
func (h *Handler) detail(s *recording, e reportStatus, name string) (*response, error) {
	return h.limited(func() (any, error) {
		report := s.detail(e, name)
		if len(report.Groups) == 0 && e.exporter.ScrapeSuccess {
			return nil, statusError{http.StatusNotFound, fmt.Sprintf("There is no group %q.", name)}
		}
		return report, nil
	})
}

// limited encodes the result of build. It has the semaphore during build and encoding only: a
// slow client must not block other clients.
func (h *Handler) limited(build func() (any, error)) (*response, error) {
	select {
	case h.details <- struct{}{}:
		defer func() { <-h.details }()
	default:
		return nil, statusError{http.StatusServiceUnavailable, "Too many concurrent requests for single groups or for the history."}
	}
	report, err := build()
	if err != nil {
		return nil, err
	}
	return encode(report)
}

// static returns a handler of a file that is constant in this version of the
// program.
func static(contentType string, text []byte) http.HandlerFunc {
	file := newResponse(contentType, text)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		file.send(w, r)
	}
}
