package webserver

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// TestHTTP2UnderContention has three times as many HTTP/2 clients as the
// connection limit. Each gets all responses, because connections are closed
// after a response under contention. The accept delay is as long as the test, so
// that no client is evicted because the scheduler did not run it.
func TestHTTP2UnderContention(t *testing.T) {
	const limit, clients, requests, size = 2, 6, 20, 300 << 10
	certified := httptest.NewTLSServer(nil) // provides a certificate
	defer certified.Close()
	config := certified.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	web := &WebConfig{log: slog.New(slog.DiscardHandler), current: &webSettings{tls: config, http2: true}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	set := NewServers()
	set.Serve([]net.Listener{l}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trackSend(w, r, func() { _, _ = w.Write(body) })
	}), web, Limits{Connections: limit, WriteTimeout: testTimeout, maxAcceptDelay: clients * testTimeout})
	defer set.Close()
	roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: testTimeout}
			for range requests {
				response, err := client.Get("https://" + l.Addr().String())
				if err != nil {
					t.Error(err)
					continue
				}
				n, err := io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if err != nil || n != size || response.ProtoMajor != 2 {
					t.Errorf("got %d bytes over %s and error %v, want %d bytes over HTTP/2", n, response.Proto, err, size)
				}
			}
		})
	}
	all.Wait()
}
