package webserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Servers is a set of HTTP servers, one for each listener.
type Servers struct {
	servers  []*http.Server
	limiters []*connLimiter
	failed   chan error // has capacity for one error of each server
}

// maxServers is the capacity of Servers.failed, far above the usual number of
// listen addresses.
const maxServers = 1024

// NewServers returns an empty set.
func NewServers() *Servers { return &Servers{failed: make(chan error, maxServers)} }

// Limits restrict the clients of a server.
type Limits struct {
	Connections  int           // maximum number of open connections
	WriteTimeout time.Duration // from the end of the request header to the end of the response

	// AllowedHosts are the names that requests may have as Host, without port, or
	// AnyHost. IP addresses and localhost are always allowed. An empty list allows
	// all names, except on loopback listeners.
	AllowedHosts []string

	maxAcceptDelay time.Duration // replaces the constant in tests; 0 keeps it
}

// Serve starts a server of h on each listener, with the web configuration.
func (set *Servers) Serve(listeners []net.Listener, h http.Handler, web *WebConfig, limits Limits) {
	config := web.get()
	limiter := newConnLimiter(limitByOpenFiles(limits.Connections), config.tls != nil)
	if limits.maxAcceptDelay > 0 {
		limiter.maxAcceptDelay = limits.maxAcceptDelay
	}
	set.limiters = append(set.limiters, limiter)
	h = &accessHandler{web: web, auth: newAuthenticator(), next: h}
	for _, l := range listeners {
		address := l.Addr()
		s := newServer(newHostFilter(limits.AllowedHosts, address).handler(h), limits, web.log)
		loopback := isLoopback(address)
		s.BaseContext = func(net.Listener) context.Context {
			return context.WithValue(context.Background(), loopbackKey{}, loopback)
		}
		limiter.bind(s)
		// Messages and keys are those of exporter-toolkit.
		web.log.Info("Listening on", "address", address.String())
		if config.tls != nil {
			web.log.Info("TLS is enabled.", "http2", config.http2, "address", address.String())
		} else {
			web.log.Info("TLS is disabled.", "http2", false, "address", address.String())
		}
		set.start(s, web.wrapTLS(limiter.listener(l), s), address)
	}
}

// loopbackKey is the key of a context value: whether the listener of a request accepts
// connections from this machine only.
type loopbackKey struct{}

// OnLoopback reports whether the listener of a request accepts connections from this machine
// only. ctx is the context of the request.
func OnLoopback(ctx context.Context) bool {
	loopback, _ := ctx.Value(loopbackKey{}).(bool)
	return loopback
}

// ServePlain starts a server of h without web configuration, for a loopback
// listener.
func (set *Servers) ServePlain(l net.Listener, h http.Handler, log *slog.Logger, limits Limits) {
	s := newServer(newHostFilter(limits.AllowedHosts, l.Addr()).handler(h), limits, log)
	limiter := newConnLimiter(limits.Connections, false)
	limiter.bind(s)
	set.limiters = append(set.limiters, limiter)
	set.start(s, limiter.listener(l), l.Addr())
}

// start serves l in a new goroutine until the server is closed.
func (set *Servers) start(s *http.Server, l net.Listener, address net.Addr) {
	set.servers = append(set.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			set.failed <- fmt.Errorf("cannot serve on %s: %w", address, err)
		}
	}()
}

// newServer returns a server with timeouts against slow and idle clients.
func newServer(h http.Handler, limits Limits, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       2 * time.Minute, // longer than usual scrape intervals, so that connections are reused
		MaxHeaderBytes:    16 << 10,
		// net/http would answer OPTIONS * itself, without the checks of the handler.
		DisableGeneralOptionsHandler: true,
		// Debug level, because any client can cause TLS handshake errors without limit.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Failed returns a channel that receives the error of a server that has stopped
// unexpectedly.
func (set *Servers) Failed() <-chan error { return set.failed }

// Drain closes the listeners and the connections without a request, and waits
// until all requests are finished. After timeout it closes the remaining
// connections and returns an error that matches [context.DeadlineExceeded].
func (set *Servers) Drain(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	errs := make([]error, len(set.servers))
	var shutdowns, closers sync.WaitGroup
	for i, s := range set.servers {
		shutdowns.Go(func() {
			if errs[i] = s.Shutdown(ctx); errs[i] != nil {
				_ = s.Close() // the error of Shutdown is returned
			}
		})
	}
	done := make(chan struct{})
	for _, l := range set.limiters {
		closers.Go(func() { l.closeWithoutRequest(done) })
	}
	shutdowns.Wait()
	close(done)
	closers.Wait()
	return errors.Join(errs...)
}

// Close closes all listeners and connections at once.
func (set *Servers) Close() {
	for _, s := range set.servers {
		_ = s.Close() // the process is about to exit
	}
}
