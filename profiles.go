package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

const pprofPath = "/debug/pprof/"

// maxProfilers is how many clients may fetch profiles at a time.
const maxProfilers = 8

// profileTime is how long a profile may take, with the time it is taken for.
const profileTime = 5 * time.Minute

// isLoopback reports whether address can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// listenProfiles opens the address that profiles are asked for at, if any.
func (e *exporter) listenProfiles() (net.Listener, error) {
	if e.settings.pprofAddress == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", e.settings.pprofAddress)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w; check --web.pprof-address", err)
	}
	return l, nil
}

// startProfiles serves the profiles of the Go runtime at an address of their
// own: who may see the metrics need not see the memory, and a profile must not
// take the place of a scrape.
func (e *exporter) startProfiles(l net.Listener, servers *webserver.Servers) {
	mux := http.NewServeMux()
	mux.HandleFunc(pprofPath, pprof.Index)
	mux.HandleFunc(pprofPath+"cmdline", pprof.Cmdline)
	mux.HandleFunc(pprofPath+"profile", pprof.Profile)
	mux.HandleFunc(pprofPath+"symbol", pprof.Symbol)
	mux.HandleFunc(pprofPath+"trace", pprof.Trace)
	e.log.Info("Serving profiles of the exporter", "pprof", fmt.Sprintf("http://%s%s", l.Addr(), pprofPath))
	servers.ServePlain(l, mux, e.log, webserver.Limits{Connections: maxProfilers, WriteTimeout: profileTime})
}
