package webserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// newClientCertificate returns a certificate that is its own certificate authority.
func newClientCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (w *WebConfig) replace(settings *webSettings) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = settings
}

// startClientCertServer starts a TLS server that returns the address of the client. get sends a
// request over HTTP/major from a client that keeps its connection.
func startClientCertServer(t *testing.T, config *WebConfig, certified *httptest.Server, client tls.Certificate, major int) (
	get func() (status int, from string),
) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set := NewServers()
	t.Cleanup(set.Close)
	set.Serve([]net.Listener{l}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	}), config, Limits{Connections: 8, WriteTimeout: testTimeout})
	transport := certified.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	transport.TLSClientConfig.Certificates = []tls.Certificate{client}
	transport.TLSClientConfig.NextProtos, transport.ForceAttemptHTTP2 = nil, major == 2
	return func() (status int, from string) {
		t.Helper()
		response, err := (&http.Client{Transport: transport, Timeout: testTimeout}).Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.ProtoMajor != major {
			t.Fatalf("got error %v over %s", err, response.Proto)
		}
		return response.StatusCode, string(body)
	}
}

// TestReplacedClientCA checks that a connection from before a reload is used only if the new
// certificate authorities accept its client, and that it closes after the response.
func TestReplacedClientCA(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // provides a certificate
	defer certified.Close()
	client, other := newClientCertificate(t, "client"), newClientCertificate(t, "other")
	settings := func(mode tls.ClientAuthType, authorities ...tls.Certificate) *webSettings {
		pool := x509.NewCertPool()
		for _, c := range authorities {
			pool.AddCert(c.Leaf)
		}
		return &webSettings{http2: true, tls: &tls.Config{
			Certificates: certified.TLS.Certificates, ClientAuth: mode, ClientCAs: pool, NextProtos: []string{"h2", "http/1.1"},
		}}
	}
	const required, optional = tls.RequireAndVerifyClientCert, tls.VerifyClientCertIfGiven
	for _, tt := range []struct {
		name          string
		before, after *webSettings
		want          int
	}{
		{"other authority", settings(required, client), settings(required, other), 403},
		{"further authority", settings(required, client), settings(required, client, other), 200},
		{"required", settings(tls.NoClientCert), settings(required, client), 403},
		{"not required", settings(tls.NoClientCert), settings(optional, other), 200},
	} {
		for _, major := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s HTTP/%d", tt.name, major), func(t *testing.T) {
				config := &WebConfig{log: slog.New(slog.DiscardHandler), current: tt.before}
				get := startClientCertServer(t, config, certified, client, major)
				_, first := get()
				if status, from := get(); status != 200 || from != first {
					t.Fatalf("got status %d from %s, want 200 from %s", status, from, first)
				}
				config.replace(tt.after)
				if status, _ := get(); status != tt.want {
					t.Errorf("got status %d, want %d", status, tt.want)
				}
				if tt.want != 200 {
					return
				}
				if status, from := get(); status != 200 || from == first {
					t.Errorf("got status %d from %s, want 200 over another connection than %s", status, from, first)
				}
			})
		}
	}
}

// TestResumedSession checks that a session from before a reload does not skip the checks of the new
// configuration.
func TestResumedSession(t *testing.T) {
	dir := t.TempDir()
	makeCertificate(t, dir, "openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt -subj /CN=localhost")
	client := newClientCertificate(t, "client")
	authority := filepath.Join(dir, "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate[0]})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := func(names ...string) *webSettings {
		config, err := loadTLS(&web.TLSConfig{
			TLSCertPath: filepath.Join(dir, "server.crt"), TLSKeyPath: filepath.Join(dir, "server.key"), ClientCAs: authority,
			ClientAuth: "RequireAndVerifyClientCert", ClientAllowedSans: names, MaxVersion: tls.VersionTLS13,
		}, []string{"http/1.1"})
		if err != nil {
			t.Fatal(err)
		}
		return &webSettings{tls: config}
	}
	config := &WebConfig{log: slog.New(slog.DiscardHandler), current: settings("client")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set := NewServers()
	defer set.Close()
	set.Serve([]net.Listener{l}, http.NotFoundHandler(), config, Limits{Connections: 8, WriteTimeout: testTimeout})
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{client}, ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}}
	get := func() (resumed bool, err error) {
		response, err := (&http.Client{Transport: transport, Timeout: testTimeout}).Get("https://" + l.Addr().String())
		if err != nil {
			return false, err
		}
		return response.TLS.DidResume, response.Body.Close()
	}
	for _, want := range []bool{false, true} {
		if resumed, err := get(); resumed != want || err != nil {
			t.Fatalf("got a resumed session %v and error %v, want %v", resumed, err, want)
		}
	}
	config.replace(settings("other"))
	if _, err := get(); err == nil {
		t.Error("got a response to a client whose name is no longer allowed, want an error")
	}
}
