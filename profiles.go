package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
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

// startProfiles serves the profiles of the Go runtime at an address of their
// own: who may see the metrics need not see the memory, and a profile must not
// take the place of a scrape.
func (e *exporter) startProfiles(l net.Listener, set *serverSet) {
	mux := http.NewServeMux()
	mux.HandleFunc(pprofPath, pprof.Index)
	mux.HandleFunc(pprofPath+"cmdline", pprof.Cmdline)
	mux.HandleFunc(pprofPath+"profile", pprof.Profile)
	mux.HandleFunc(pprofPath+"symbol", pprof.Symbol)
	mux.HandleFunc(pprofPath+"trace", pprof.Trace)
	s := newServer(mux, e.log)
	s.WriteTimeout = profileTime
	clients := newClientSet(maxProfilers, false)
	clients.bind(s)
	e.log.Info("Serving profiles of the exporter", "pprof", fmt.Sprintf("http://%s%s", l.Addr(), pprofPath))
	set.serve(s, clients.listener(l), l.Addr())
}
