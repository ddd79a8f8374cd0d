package daemon

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/logging"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

// Paths that a daemon serves in addition to the metrics and the page.
const (
	HealthyPath = "/-/healthy"
	ReadyPath   = "/-/ready"
	ReloadPath  = "/-/reload"
)

// reservedPaths returns the paths that metrics cannot have. Metrics may have the
// path of the page, which is then not served.
func reservedPaths() []string {
	out := []string{HealthyPath, ReadyPath, ReloadPath}
	for _, path := range webui.Paths() {
		if path != webui.PagePath {
			out = append(out, path)
		}
	}
	return out
}

// A mux routes requests by exact path, so that a scraper with a misspelled
// metrics path gets status 404 and not the page.
type mux struct {
	routes map[string]http.Handler
	reload http.Handler
	ready  atomic.Bool // whether the first walk is complete
}

// newMux returns the handler of all paths. reload loads the configuration again.
func newMux(s *config.Settings, metrics http.Handler, page *webui.Handler, reload func() error) *mux {
	m := &mux{reload: newReloadHandler(s, reload), routes: map[string]http.Handler{
		HealthyPath: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, "Healthy.\n") }),
	}}
	m.routes[ReadyPath] = http.HandlerFunc(m.serveReady)
	for _, path := range webui.Paths() {
		m.routes[path] = page
	}
	m.routes[s.TelemetryPath] = metrics
	return m
}

// ServeHTTP implements [http.Handler].
func (m *mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, found := m.routes[r.URL.Path]
	switch {
	case r.URL.Path == ReloadPath:
		m.reload.ServeHTTP(w, r)
	case !found:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		h.ServeHTTP(w, r)
	}
}

func (m *mux) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !m.ready.Load() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "The first walk over all processes is not complete.", http.StatusServiceUnavailable)
		return
	}
	writeText(w, "Ready.\n")
}

// newReloadHandler returns the handler of ReloadPath. It is off by default,
// because clients that may scrape should not change the configuration. It refuses
// requests that a browser sends for a page of another site.
func newReloadHandler(s *config.Settings, reload func() error) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", "POST")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		case !s.EnableLifecycle:
			http.Error(w, "Reload over HTTP is disabled. Start with --web.enable-lifecycle to enable it.", http.StatusForbidden)
		case crossOrigin.Check(r) != nil:
			http.Error(w, "Cross-origin requests for a reload are refused.", http.StatusForbidden)
		default:
			if err := reload(); err != nil {
				http.Error(w, "Reload failed, the previous configuration stays in effect: "+logging.OneLine(err), http.StatusInternalServerError)
				return
			}
			writeText(w, "Reloaded.\n")
		}
	})
}

// writeText writes a short response. It ignores errors, which mean that the
// client has disconnected.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}
