package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/webserver"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

const (
	// drainTimeout is the time that active scrapes get to finish after a stop
	// signal. Service managers wait longer before they send SIGKILL.
	drainTimeout = 5 * time.Second

	// responseTimeout is the time to write a response after the longest scrape.
	responseTimeout = 20 * time.Second
)

// Serve serves HTTP until ctx ends or a signal stops the daemon. It opens the
// listeners before it reads a process, so that a port conflict is reported at
// once and an unresponsive process does not delay them. It enters the sandbox
// between the two.
func (e *Exporter) Serve(ctx context.Context) error {
	page, err := webui.NewHandler(e.newRecorder(), webui.HandlerOptions{
		MetricsPath: e.settings.TelemetryPath, ShowsProcesses: e.showsProcesses,
	})
	if err != nil {
		return err
	}
	routes := newMux(e.settings, e.metrics, page, e.reload)
	signals := notifySignals()
	defer signal.Stop(signals.stop)
	listeners, err := webserver.Listen(e.settings.Web)
	if err != nil {
		return err
	}
	pprofListener, err := e.listenPprof()
	if err != nil {
		webserver.CloseAll(listeners)
		return err
	}
	e.logStart()
	e.openNotifySocket()
	e.enterSandbox()
	servers := webserver.NewServers()
	servers.Serve(listeners, routes, e.web, webserver.Limits{
		Connections: e.settings.MaxConnections, WriteTimeout: webserver.MaxRenderTime + responseTimeout,
		AllowedHosts: e.settings.AllowedHostNames(),
	})
	if pprofListener != nil {
		e.servePprof(pprofListener, servers)
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { e.firstWalk(ctx, routes) })
	background.Go(func() { e.collector.UpdateOnExits(ctx) })
	background.Go(func() { e.runWatchdog(ctx) })
	defer background.Wait()
	defer cancel()
	// The service is ready when it accepts connections. If it waited for the
	// first walk, one unresponsive process would make the start time out.
	e.notify(sddaemon.SdNotifyReady)
	return e.wait(ctx, servers, signals)
}

// logStart logs the version, the rules and the source.
func (e *Exporter) logStart() {
	e.log.Info("starting "+config.Program, "version", version.Info(), "build_context", version.BuildContext())
	e.logRules(e.rules)
	e.logSource()
}

// logSource logs the source of process data, and why it is not BPF.
func (e *Exporter) logSource() {
	e.logSockets()
	kind, reason := e.tracker.Kind()
	if reason == nil {
		e.log.Info("reading processes", "source", kind)
		return
	}
	e.log.Info("reading processes", "source", kind, "reason", reason)
	var verifier interface{ Detail() string }
	if errors.As(reason, &verifier) {
		e.log.Debug("BPF verifier log", "detail", verifier.Detail())
	}
}

// logSockets logs the source of sockets, and why it is not BPF.
func (e *Exporter) logSockets() {
	kind, reason := e.tracker.SocketsKind()
	switch {
	case e.hasSockets && reason == nil:
		e.log.Info("reading sockets", "source", kind)
	case e.hasSockets:
		e.log.Info("reading sockets", "source", kind, "reason", reason)
	case e.socketsErr != nil:
		e.log.Warn("cannot read sockets; the collector network has no metrics", "reason", e.socketsErr)
	}
}

// firstWalk reads all processes once, which sets the base of their counters, and
// then reports readiness.
func (e *Exporter) firstWalk(ctx context.Context, routes *mux) {
	e.collector.Update(ctx)
	if ctx.Err() == nil {
		routes.ready.Store(true)
	}
}

// signalChannels receive the signals of the daemon. A full channel drops
// signals, so reloads have a channel of their own.
type signalChannels struct {
	stop   chan os.Signal // the first signal drains connections, the second closes them
	reload chan os.Signal // capacity 1: a queued reload covers later signals
}

// notifySignals registers the signal channels. SIGHUP stays registered until the
// process ends, because its default action would end it.
func notifySignals() signalChannels {
	s := signalChannels{stop: make(chan os.Signal, 2), reload: make(chan os.Signal, 1)}
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

// wait serves until ctx ends, a server fails or a stop signal arrives.
func (e *Exporter) wait(ctx context.Context, servers *webserver.Servers, signals signalChannels) error {
	go e.handleReloads(signals.reload)
	select {
	case <-ctx.Done():
		return e.stop(servers, signals.stop)
	case err := <-servers.Failed():
		servers.Close()
		return err
	case sig := <-signals.stop:
		e.log.Info("stopping", "signal", sig.String())
		return e.stop(servers, signals.stop)
	}
}

// stop closes the listeners and waits for active scrapes, at most drainTimeout.
// A second signal closes their connections at once.
func (e *Exporter) stop(servers *webserver.Servers, signals <-chan os.Signal) error {
	e.notify(sddaemon.SdNotifyStopping)
	drained := make(chan error, 1)
	go func() { drained <- servers.Drain(drainTimeout) }()
	select {
	case err := <-drained:
		if err != nil {
			e.log.Warn("aborted active scrapes", "err", err)
		}
		return nil
	case sig := <-signals:
		servers.Close()
		return fmt.Errorf("aborted by a second signal (%s)", sig)
	}
}
