package webserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startTLSServer serves h over TLS on a loopback port, and returns the address and
// the certificate authority.
func startTLSServer(t *testing.T, limits Limits, h http.HandlerFunc) (set *Servers, address string, roots *x509.CertPool) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // provides a certificate
	defer certified.Close()
	config := certified.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	web := &WebConfig{log: slog.New(slog.DiscardHandler), current: &webSettings{tls: config, http2: true}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set = NewServers()
	set.Serve([]net.Listener{l}, h, web, limits)
	t.Cleanup(set.Close)
	return set, l.Addr().String(), certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
}

// newHTTP2Client returns a client that shares no connections.
func newHTTP2Client(t *testing.T, roots *x509.CertPool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testTimeout}
}

// getAll returns the body of a response over HTTP/2.
func getAll(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.ProtoMajor != 2 {
		t.Errorf("got %d bytes over %s and error %v, want a response over HTTP/2", len(body), response.Proto, err)
	}
	return string(body)
}

// TestHTTP2UnderContention has three times as many HTTP/2 clients as the
// connection limit. Each gets all responses, because connections are closed
// after a response under contention. The accept delay is as long as the test, so
// that no client is evicted because the scheduler did not run it.
func TestHTTP2UnderContention(t *testing.T) {
	const limit, clients, requests, size = 2, 6, 20, 300 << 10
	body := make([]byte, size)
	limits := Limits{Connections: limit, WriteTimeout: testTimeout, maxAcceptDelay: clients * testTimeout}
	_, address, roots := startTLSServer(t, limits, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	var all sync.WaitGroup
	for range clients {
		client := newHTTP2Client(t, roots)
		all.Go(func() {
			defer client.CloseIdleConnections()
			for range requests {
				if n := len(getAll(t, client, "https://"+address)); n != size {
					t.Errorf("got %d bytes, want %d", n, size)
				}
			}
		})
	}
	all.Wait()
}

// zeroWindowRequest is the start of an HTTP/2 connection with a request for /.
// The client allows no response data: SETTINGS_INITIAL_WINDOW_SIZE is 0.
const zeroWindowRequest = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
	"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x04\x00\x00\x00\x00" + // SETTINGS
	"\x00\x00\x0e\x01\x05\x00\x00\x00\x01" + "\x82\x84\x87\x41\x09localhost" // HEADERS, GET https://localhost/

// TestZeroWindowIsEvicted has as many HTTP/2 clients as the connection limit, which
// allow no response data. Another client must get a response, whether the handler
// of the others waits in Write or has returned.
func TestZeroWindowIsEvicted(t *testing.T) {
	tests := []struct {
		name  string
		size  int
		flush bool
	}{
		{name: "handler has returned", size: 10},
		{name: "handler waits in Write", size: 1 << 20},
		{name: "handler waits in Flush", size: 10, flush: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const limit = 4
			entered := make(chan struct{}, limit+1)
			body := strings.Repeat("x", tt.size)
			_, address, roots := startTLSServer(t, Limits{Connections: limit, WriteTimeout: 10 * testTimeout},
				func(w http.ResponseWriter, _ *http.Request) {
					entered <- struct{}{}
					_, _ = io.WriteString(w, body)
					if tt.flush {
						_ = http.NewResponseController(w).Flush()
					}
				})
			for range limit {
				c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2"}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, zeroWindowRequest); err != nil {
					t.Fatal(err)
				}
				select {
				case <-entered:
				case <-time.After(testTimeout):
					t.Fatal("timed out waiting for the request")
				}
			}
			if got := getAll(t, newHTTP2Client(t, roots), "https://"+address); got != body {
				t.Errorf("got %d bytes, want %d", len(got), tt.size)
			}
		})
	}
}

// TestWorkingStreamIsNotEvicted has one connection with a finished and a working
// stream while another client waits for a place.
func TestWorkingStreamIsNotEvicted(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	quick := newTestCoalescer(func(_ context.Context, w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	set, address, roots := startTLSServer(t, Limits{Connections: 1, WriteTimeout: testTimeout}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			quick.ServeHTTP(w, r)
			return
		}
		close(entered)
		<-release
		_, _ = io.WriteString(w, r.URL.Path)
	})
	client, other := newHTTP2Client(t, roots), newHTTP2Client(t, roots)
	var all sync.WaitGroup
	fetch := func(c *http.Client, path string) {
		if got := getAll(t, c, "https://"+address+path); got != path {
			t.Errorf("got %q, want %q", got, path)
		}
	}
	all.Go(func() { fetch(client, "/slow") })
	<-entered
	fetch(client, "/quick")
	all.Go(func() { fetch(other, "/other") })
	l := set.limiters[0]
	testenv.WaitFor(t, "the other client to look for a place after the grace period", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.open {
			return l.lastContended.Sub(c.since) > 2*maxAcceptDelay
		}
		return false
	})
	close(release)
	all.Wait()
}
