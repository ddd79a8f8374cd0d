package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

// drainTime is how long scrapes under way may take to finish after a signal to
// stop. Service managers wait longer before they kill.
const drainTime = 5 * time.Second

// serve answers scrapes until ctx ends or a signal says to stop. It binds the
// ports before it reads a single process, so that a port in use is reported at
// once and no slow process keeps the exporter from being reachable. In between
// it gives up what it needs no more.
func (e *exporter) serve(ctx context.Context) error {
	page, err := webui.NewHandler(webui.NewRecorder(e.groups, webui.Fresh, e.describe), e.settings.telemetryPath)
	if err != nil {
		return err
	}
	st := newSite(e.settings, e.metrics, page, e.reload)
	signals := listenToSignals()
	defer signal.Stop(signals.stop)
	listeners, err := webserver.Listen(e.settings.web)
	if err != nil {
		return err
	}
	profiles, err := e.listenProfiles()
	if err != nil {
		webserver.CloseAll(listeners)
		return err
	}
	e.logStart()
	e.openManager()
	e.confine()
	servers := webserver.NewServers()
	servers.Serve(listeners, st, e.web, webserver.Limits{Connections: e.settings.maxConnections, WriteTimeout: webserver.MaxDeadline + 20*time.Second})
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
func (e *exporter) wait(ctx context.Context, servers *webserver.Servers, signals signalSet) error {
	go e.heed(signals.reload)
	select {
	case <-ctx.Done():
		return e.stop(servers, signals.stop)
	case err := <-servers.Failed():
		servers.Close()
		return err
	case sig := <-signals.stop:
		e.log.Info("Stopping", "signal", sig.String())
		return e.stop(servers, signals.stop)
	}
}

// heed reloads whenever a signal says so, for as long as the process lives. A file
// of a server that does not answer holds up nobody else: not who wants it to stop.
func (e *exporter) heed(signals <-chan os.Signal) {
	for range signals {
		_ = e.reload() // which has logged it
	}
}

// stop accepts no more connections and lets scrapes under way finish, unless
// they take too long or a second signal comes.
func (e *exporter) stop(servers *webserver.Servers, signals <-chan os.Signal) error {
	e.notify(daemon.SdNotifyStopping)
	drained := make(chan error, 1)
	go func() { drained <- servers.Drain(drainTime) }()
	select {
	case err := <-drained:
		if err != nil {
			e.log.Warn("Scrapes under way were cut off", "err", err)
		}
		return nil
	case sig := <-signals:
		servers.Close()
		return fmt.Errorf("stopped at once by a second signal (%s)", sig)
	}
}
