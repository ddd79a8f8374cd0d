package webserver

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestCrowdOfHTTP2 has three times as many clients of HTTP/2 as may be connected.
// They keep their connections where they may, and get all that they ask for.
func TestCrowdOfHTTP2(t *testing.T) {
	const limit, clients, requests, size = 2, 6, 20, 300 << 10
	usual := httptest.NewTLSServer(nil) // for its certificate
	defer usual.Close()
	config := usual.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	web := &WebConfig{log: slog.New(slog.DiscardHandler), current: &settings{tls: config, http2: true}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	set := NewServers()
	set.Scrapes([]net.Listener{l}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sending(w, r, func() { _, _ = w.Write(body) })
	}), web, Limits{Connections: limit, WriteTimeout: patience})
	defer set.Close()
	trusted := usual.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	var failed atomic.Int32
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			for range requests {
				response, err := client.Get("https://" + l.Addr().String())
				if err != nil {
					failed.Add(1)
					t.Log(err)
					continue
				}
				n, err := io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if err != nil || n != size || response.ProtoMajor != 2 {
					failed.Add(1)
					t.Logf("%s: got %d bytes and error %v", response.Proto, n, err)
				}
			}
		})
	}
	all.Wait()
	// A client that is given no CPU for 15 milliseconds may still be given up.
	if n := failed.Load(); n > clients*requests/10 {
		t.Errorf("%d of %d requests failed", n, clients*requests)
	}
}
