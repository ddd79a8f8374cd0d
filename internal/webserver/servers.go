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

// Servers are one server for each listener.
type Servers struct {
	servers []*http.Server
	failed  chan error // has room for all of them
}

// maxServers is more than anybody has addresses to listen on.
const maxServers = 1024

// NewServers returns no server yet.
func NewServers() *Servers { return &Servers{failed: make(chan error, maxServers)} }

// Limits say what clients may take, all of them together.
type Limits struct {
	Connections  int           // how many may be connected at a time
	WriteTimeout time.Duration // how long one may take to fetch its answer, from its request on
}

// Scrapes serves h on all listeners, as the web configuration says.
func (set *Servers) Scrapes(listeners []net.Listener, h http.Handler, web *WebConfig, limits Limits) {
	now := web.get()
	clients := newClientSet(affordableConnections(limits.Connections), now.tls != nil)
	h = &door{web: web, keeper: newGatekeeper(), next: h}
	for _, l := range listeners {
		s := newServer(h, limits, web.log)
		clients.bind(s)
		address := l.Addr()
		web.log.Info("Listening on", "address", address.String())
		web.log.Info("TLS is "+map[bool]string{true: "enabled.", false: "disabled."}[now.tls != nil], "http2", now.tls != nil && now.http2, "address", address.String())
		set.serve(s, web.secure(clients.listener(l), s), address)
	}
}

// Plain serves h on a listener that nobody but its own machine reaches.
func (set *Servers) Plain(l net.Listener, h http.Handler, log *slog.Logger, limits Limits) {
	s := newServer(h, limits, log)
	clients := newClientSet(limits.Connections, false)
	clients.bind(s)
	set.serve(s, clients.listener(l), l.Addr())
}

// serve serves l until the server is closed.
func (set *Servers) serve(s *http.Server, l net.Listener, address net.Addr) {
	set.servers = append(set.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			set.failed <- fmt.Errorf("cannot serve on %s: %w", address, err)
		}
	}()
}

// newServer returns a server whose limits keep clients that are slow, idle or
// hostile from holding on to it.
func newServer(h http.Handler, limits Limits, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       2 * time.Minute, // above the usual scrape intervals, so that connections last
		MaxHeaderBytes:    16 << 10,
		// Anybody can fail a TLS handshake as often as they like; the log is
		// not theirs to fill.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Failed receives why a server cannot go on.
func (set *Servers) Failed() <-chan error { return set.failed }

// Drain stops accepting and waits until all requests are answered. When that
// takes longer than limit, it cuts them off and says so.
func (set *Servers) Drain(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	errs := make([]error, len(set.servers))
	var wg sync.WaitGroup
	for i, s := range set.servers {
		wg.Go(func() {
			if errs[i] = s.Shutdown(ctx); errs[i] != nil {
				_ = s.Close() // what it had to say, Shutdown has said
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close cuts off all requests. It is for a process that is about to end.
func (set *Servers) Close() {
	for _, s := range set.servers {
		_ = s.Close() // nobody is left to tell
	}
}
