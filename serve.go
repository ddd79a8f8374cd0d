package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/collector/live"
)

// drainTime is how long scrapes under way may take to finish after a signal to
// stop. Service managers wait longer before they kill.
const drainTime = 5 * time.Second

// serve answers scrapes until ctx ends or a signal says to stop. It binds the
// ports before it reads a single process, so that a port in use is reported at
// once and no slow process keeps the exporter from being reachable. In between
// it gives up what it needs no more.
func (e *exporter) serve(ctx context.Context) error {
	page, err := live.NewHandler(live.NewRecorder(e.groups, live.Fresh, e.describe), e.settings.telemetryPath)
	if err != nil {
		return err
	}
	st := newSite(e.settings, e.metrics, page, e.reload)
	signals := listenToSignals()
	defer signal.Stop(signals.stop)
	listeners, err := listen(e.settings.web)
	if err != nil {
		return err
	}
	profiles, err := e.listenProfiles()
	if err != nil {
		closeAll(listeners)
		return err
	}
	e.logStart()
	e.openManager()
	e.confine()
	servers := e.start(listeners, st)
	if profiles != nil {
		e.startProfiles(profiles, servers)
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { e.walkFirst(ctx, st) })
	background.Go(func() { e.groups.Run(ctx) })
	background.Go(func() { e.keepWatchdog(ctx) })
	defer background.Wait()
	defer cancel()
	// The service is ready once it can be reached. Waiting for the first walk
	// would let one process that does not answer fail the whole start.
	e.notify(daemon.SdNotifyReady)
	return e.wait(ctx, servers, signals)
}

// logStart logs once what a reader of the log needs to know about this run.
func (e *exporter) logStart() {
	e.log.Info("Starting "+program, "version", version.Info(), "build_context", version.BuildContext())
	e.logRules(e.rules)
	e.logSource()
}

// logSource logs how processes are read, and why not in the better way.
func (e *exporter) logSource() {
	kind, why := e.tracker.Kind()
	if why == nil {
		e.log.Info("Reading processes", "via", kind)
		return
	}
	e.log.Info("Reading processes", "via", kind, "not_bpf", why)
	var long interface{ Detail() string }
	if errors.As(why, &long) {
		e.log.Debug("What the kernel's verifier said", "detail", long.Detail())
	}
}

// walkFirst reads all processes once, so that the counters of those that run
// already have the values from which they count.
func (e *exporter) walkFirst(ctx context.Context, st *site) {
	if _, err := e.metrics.gatherer(ctx).Gather(); err != nil {
		e.log.Error("The first walk over all processes had errors", "err", err)
	}
	if ctx.Err() == nil {
		st.ready.Store(true)
	}
}

// signalSet are the signals that the exporter hears, each kind in a channel of
// its own: what has no room is lost, and reloads must not take that of a stop.
type signalSet struct {
	stop   chan os.Signal // the first ends the service in order, the second at once
	reload chan os.Signal // one that waits stands for all that came before it
}

// listenToSignals hears SIGHUP until the process ends, which it would end
// otherwise, however it was going to.
func listenToSignals() signalSet {
	s := signalSet{stop: make(chan os.Signal, 2), reload: make(chan os.Signal, 1)}
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

// wait serves until there is a reason to stop.
func (e *exporter) wait(ctx context.Context, servers *serverSet, signals signalSet) error {
	for {
		select {
		case <-ctx.Done():
			return e.stop(servers, signals.stop)
		case err := <-servers.failed:
			servers.close()
			return err
		case sig := <-signals.stop:
			e.log.Info("Stopping", "signal", sig.String())
			return e.stop(servers, signals.stop)
		case <-signals.reload:
			_ = e.reload() // which has logged it
		}
	}
}

// stop accepts no more connections and lets scrapes under way finish, unless
// they take too long or a second signal comes.
func (e *exporter) stop(servers *serverSet, signals <-chan os.Signal) error {
	e.notify(daemon.SdNotifyStopping)
	drained := make(chan error, 1)
	go func() { drained <- servers.drain(drainTime) }()
	select {
	case err := <-drained:
		if err != nil {
			e.log.Warn("Scrapes under way were cut off", "err", err)
		}
		return nil
	case sig := <-signals:
		servers.close()
		return fmt.Errorf("stopped at once by a second signal (%s)", sig)
	}
}

// A serverSet is one server for each listener.
type serverSet struct {
	servers []*http.Server
	failed  chan error // has room for all of them
}

// maxServers is more than anybody has addresses to listen on.
const maxServers = 1024

// start serves h on all listeners.
func (e *exporter) start(listeners []net.Listener, h http.Handler) *serverSet {
	set := &serverSet{failed: make(chan error, maxServers)}
	config := e.web.get()
	clients := newClientSet(affordableConnections(e.settings.maxConnections), config.tls != nil)
	h = &door{settings: e.web, keeper: newGatekeeper(), next: h}
	for _, l := range listeners {
		s := newServer(h, e.log)
		clients.bind(s)
		address := l.Addr()
		e.log.Info("Listening on", "address", address.String())
		e.log.Info("TLS is "+map[bool]string{true: "enabled.", false: "disabled."}[config.tls != nil], "http2", config.tls != nil && config.http2, "address", address.String())
		set.serve(s, e.web.secure(clients.listener(l), s), address)
	}
	return set
}

// serve serves l until the server is closed.
func (set *serverSet) serve(s *http.Server, l net.Listener, address net.Addr) {
	set.servers = append(set.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			set.failed <- fmt.Errorf("cannot serve on %s: %w", address, err)
		}
	}()
}

// newServer returns a server whose limits keep clients that are slow, idle or
// hostile from holding on to it.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      maxDeadline + 20*time.Second,
		IdleTimeout:       2 * time.Minute, // above the usual scrape intervals, so that connections last
		MaxHeaderBytes:    16 << 10,
		// Anybody can fail a TLS handshake as often as they like; the log is
		// not theirs to fill.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// drain stops accepting and waits until all requests are answered. When that
// takes longer than limit, it cuts them off and says so.
func (set *serverSet) drain(limit time.Duration) error {
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

func (set *serverSet) close() {
	for _, s := range set.servers {
		_ = s.Close() // the process is about to end
	}
}
