package webserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

const (
	// checkInterval is the minimum time between two checks for changed files.
	checkInterval = time.Second

	// reloadTimeout is the time that requests wait for a reload. It bounds the
	// delay when the files are on an unresponsive file server.
	reloadTimeout = 100 * time.Millisecond
)

// A webSettings holds the contents of the web configuration files. It is
// immutable.
type webSettings struct {
	tls         *tls.Config // nil for plain HTTP
	http2       bool
	headers     map[string]string
	users       map[string][]byte // bcrypt hashes by user name; empty disables authentication
	rateLimiter *rate.Limiter     // nil for no limit
}

// A WebConfig holds the last valid web configuration. It reloads changed files.
// A file that is invalid, for example while it is being replaced, does not
// interrupt scrapes.
type WebConfig struct {
	path    string
	log     *slog.Logger
	success prometheus.Gauge
	load    func(path string) (*webSettings, []fileStamp, error)
	timeout time.Duration // reloadTimeout, except in tests

	mu      sync.Mutex // guards the fields below
	current *webSettings
	stamps  []fileStamp // of the files of the last load, valid or not
	checked time.Time   // the end of the last check
	failed  bool        // the last load failed
	pending *reload     // nil if no reload is running
}

// A reload is a check for changed files and, if needed, a load of them, in its
// own goroutine. At most one runs at a time.
type reload struct {
	start time.Time
	done  chan struct{}
	late  bool // it exceeded the timeout, and this has been logged
}

// OpenWebConfig loads the web configuration file at path. An empty path means
// plain HTTP without authentication.
func OpenWebConfig(path string, log *slog.Logger) (*WebConfig, error) {
	w := &WebConfig{
		path: path, log: log, load: loadWebConfig, timeout: reloadTimeout, current: new(webSettings), checked: time.Now(),
	}
	w.success = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "namedprocess_exporter_web_config_last_reload_successful",
		Help: "Whether the last read of the web configuration file and of the files that it names succeeded (1) or failed (0).",
	})
	w.success.Set(1)
	if path == "" {
		return w, nil
	}
	config, stamps, err := loadWebConfig(path)
	if err != nil {
		return nil, fmt.Errorf("--web.config.file=%s: %w", path, err)
	}
	w.current, w.stamps = config, stamps
	return w, nil
}

// get returns the current configuration. At most once per checkInterval it
// checks whether a file has changed, and waits for the result until the timeout.
func (w *WebConfig) get() *webSettings {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.path == "" || time.Since(w.checked) < checkInterval {
		return w.current
	}
	r := w.pending
	if r == nil {
		r = &reload{start: time.Now(), done: make(chan struct{})}
		w.pending = r
		go w.run(r)
	}
	w.await(r)
	if w.pending == r && !r.late {
		r.late = true
		w.success.Set(0)
		w.log.Warn("timed out reading web configuration; keeping the previous one", "path", w.path)
	}
	return w.current
}

// await waits for r until the timeout. It releases mu while it waits.
func (w *WebConfig) await(r *reload) {
	remaining := w.timeout - time.Since(r.start)
	if remaining <= 0 {
		return
	}
	timer := time.NewTimer(remaining)
	defer timer.Stop()
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-r.done:
	case <-timer.C:
	}
}

// run performs r.
func (w *WebConfig) run(r *reload) {
	w.mu.Lock()
	stamps, current := w.stamps, w.current
	w.mu.Unlock()
	next, newStamps, err := w.loadIfChanged(current, stamps)
	w.mu.Lock()
	defer w.mu.Unlock()
	defer close(r.done)
	w.checked, w.pending, w.stamps = time.Now(), nil, newStamps
	switch {
	case err != nil:
		w.failed = true
		w.log.Error("cannot reload web configuration; keeping the previous one", "path", w.path, "err", err)
	case next != nil:
		w.failed, w.current = false, next
		w.log.Info("reloaded web configuration", "path", w.path)
	case r.late:
		w.log.Info("web configuration is readable again", "path", w.path)
	}
	if w.failed {
		w.success.Set(0)
	} else {
		w.success.Set(1)
	}
}

// loadIfChanged loads the files if one differs from its stamp. Otherwise next is
// nil. It recovers from panics: it runs in a goroutine for which net/http does not.
func (w *WebConfig) loadIfChanged(current *webSettings, stamps []fileStamp) (next *webSettings, newStamps []fileStamp, err error) {
	defer func() {
		if p := recover(); p != nil {
			next, newStamps, err = nil, stamps, fmt.Errorf("panic: %v", p)
		}
	}()
	if unchanged(stamps) {
		return nil, stamps, nil
	}
	next, newStamps, err = w.load(w.path)
	if err == nil {
		err = checkReload(current, next)
	}
	return next, newStamps, err
}

// checkReload returns an error if a reload would give up protection: an editor, or cp(1) on a full
// file system, can leave an empty file.
func checkReload(current, next *webSettings) error {
	switch {
	case (next.tls == nil) != (current.tls == nil):
		return errors.New("TLS cannot be enabled or disabled at run time; restart the exporter")
	case len(current.users) > 0 && len(next.users) == 0:
		return errors.New("authentication cannot be disabled at run time; restart the exporter")
	case next.tls != nil && next.tls.ClientAuth < current.tls.ClientAuth:
		return errors.New("client_auth_type cannot be weakened at run time; restart the exporter")
	}
	return nil
}

// Collector returns the metric of the last reload.
func (w *WebConfig) Collector() prometheus.Collector { return w.success }

// Files returns the paths of the configuration file and of the files that it
// names.
func (w *WebConfig) Files() (paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, file := range w.stamps {
		paths = append(paths, file.path)
	}
	return paths
}

// maxStreams is the maximum number of concurrent requests of an HTTP/2
// connection. A scraper has one.
const maxStreams = 8

// wrapTLS returns a listener that adds TLS to l, or l if the configuration has
// no TLS. Each new connection uses the current certificate.
func (w *WebConfig) wrapTLS(l net.Listener, server *http.Server) net.Listener {
	config := w.get()
	if config.tls == nil {
		return l
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(config.http2)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
	outer := config.tls.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		now := w.get().tls
		if c := underlying(hello.Conn); c != nil {
			c.tls = now
			c.delayHandshake(hello.Context())
		}
		return now, nil
	}
	server.TLSConfig = outer
	return tls.NewListener(l, outer)
}
