package main

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

const (
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
	reloadPath  = "/-/reload"
)

// ownPaths are those that the metrics cannot have. They can have that of the page,
// which is then not served.
var ownPaths = []string{healthyPath, readyPath, reloadPath, webui.ScriptPath, webui.StylePath, webui.GroupsPath}

// A site answers every request that the exporter gets. It knows its paths
// exactly: a misspelt one is an error that somebody sees, not a landing page
// that a scraper cannot parse.
type site struct {
	routes map[string]http.Handler
	reload http.Handler // of POST requests to reloadPath
	ready  atomic.Bool  // the first walk is done, so counters have their baseline
}

// newSite returns the site of the metrics and of the page. reload reads the
// configuration again.
func newSite(s *settings, metrics http.Handler, page *webui.Handler, reload func() error) *site {
	st := &site{reload: newReload(s, reload), routes: map[string]http.Handler{
		healthyPath: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, "Healthy.\n") }),
	}}
	st.routes[readyPath] = http.HandlerFunc(st.serveReady)
	for _, path := range page.Paths() {
		st.routes[path] = page
	}
	st.routes[s.telemetryPath] = metrics
	return st
}

// ServeHTTP implements [http.Handler].
func (st *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, found := st.routes[r.URL.Path]
	switch {
	case r.URL.Path == reloadPath:
		st.reload.ServeHTTP(w, r)
	case !found:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		h.ServeHTTP(w, r)
	}
}

func (st *site) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !st.ready.Load() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "The first walk over all processes is not done yet.", http.StatusServiceUnavailable)
		return
	}
	writeText(w, "Ready.\n")
}

// newReload serves requests to read the configuration again. Whoever may scrape
// may not, unless the one who started the exporter says so.
func newReload(s *settings, reload func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost && r.Method != http.MethodPut:
			w.Header().Set("Allow", "POST, PUT")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		case !s.lifecycle:
			http.Error(w, "Reloading over HTTP is off, --web.enable-lifecycle turns it on.", http.StatusForbidden)
		default:
			if err := reload(); err != nil {
				http.Error(w, "Configuration not reloaded, the old one stays in force: "+oneLine(err), http.StatusInternalServerError)
				return
			}
			writeText(w, "Reloaded.\n")
		}
	})
}

// writeText sends a short text. A client that hangs up meanwhile is no error.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}
