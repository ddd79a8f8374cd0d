package daemon

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

const (
	pprofPath        = "/debug/pprof/"
	pprofConnections = 8

	// pprofTimeout includes the time during which a profile is recorded.
	pprofTimeout = 5 * time.Minute
)

// listenPprof opens the listener of --web.pprof-address. It returns nil if the
// flag is not set.
func (e *Exporter) listenPprof() (net.Listener, error) {
	if e.settings.PprofAddress == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", e.settings.PprofAddress)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w; check --web.pprof-address", err)
	}
	return l, nil
}

// servePprof serves profiles of the Go runtime. They have a listener of their
// own, because profiles expose memory contents, and because a profile must not
// use a connection of the scrapes.
func (e *Exporter) servePprof(l net.Listener, servers *webserver.Servers) {
	handler := http.NewServeMux()
	handler.HandleFunc(pprofPath, pprof.Index)
	handler.HandleFunc(pprofPath+"cmdline", pprof.Cmdline)
	handler.HandleFunc(pprofPath+"profile", pprof.Profile)
	handler.HandleFunc(pprofPath+"symbol", pprof.Symbol)
	handler.HandleFunc(pprofPath+"trace", pprof.Trace)
	e.log.Info("serving profiles", "url", fmt.Sprintf("http://%s%s", l.Addr(), pprofPath))
	servers.ServePlain(l, handler, e.log, webserver.Limits{
		Connections: pprofConnections, WriteTimeout: pprofTimeout, AllowedHosts: e.settings.AllowedHostNames(),
	})
}
