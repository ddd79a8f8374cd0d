package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// password matches passwordHash, which has the lowest bcrypt cost.
const (
	password     = "open sesame"
	passwordHash = "$2a$04$WLF0lXfnmiwQVdu3ULcfiOb4NfbCvdHm9S83eeBX1rtGdl1IqMa.i"
)

// TestTLSAndPasswordOnTwoListeners serves two addresses with one web configuration. The race detector
// would report data races if both listeners shared one server.
func TestTLSAndPasswordOnTwoListeners(t *testing.T) {
	requireLinux(t)
	dir := t.TempDir()
	pool := writeCertificate(t, dir)
	config := filepath.Join(dir, "web.yml")
	text := "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {alice: '" + passwordHash + "'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startListening(t, "-web.config.file", config, "-web.listen-address=127.0.0.1:0", "-web.listen-address=127.0.0.1:0")
	testenv.WaitFor(t, "two listeners", func() bool { return len(r.addresses()) == 2 })
	r.Client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	for _, address := range r.addresses() {
		for _, tt := range []struct {
			user, password string
			want           int
		}{
			{"alice", password, http.StatusOK},
			{"alice", "guess", http.StatusUnauthorized},
			{"", "", http.StatusUnauthorized},
		} {
			request, err := http.NewRequest(http.MethodGet, "https://"+address+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				request.SetBasicAuth(tt.user, tt.password)
			}
			if response, _ := r.do(request); response.StatusCode != tt.want {
				t.Errorf("%s as %q with %q: got %s, want %d", address, tt.user, tt.password, response.Status, tt.want)
			}
		}
	}
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d", status)
	}
}

// writeCertificate writes cert.pem and key.pem, and returns a pool that trusts the certificate.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{
		"cert.pem": cert,
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// TestCertificateReload replaces the certificate of a running exporter, first with an invalid file.
func TestCertificateReload(t *testing.T) {
	requireLinux(t)
	dir := t.TempDir()
	old := writeCertificate(t, dir)
	config := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(config, []byte("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startListening(t, "-web.config.file", config, "-web.listen-address=127.0.0.1:0")
	r.URL = strings.Replace(r.URL, "http:", "https:", 1)
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: old}}
	r.Client.Transport = transport
	if response, _ := r.Get("/-/healthy"); response.ProtoMajor != 2 || response.StatusCode != http.StatusOK {
		t.Fatalf("got %s %s, want HTTP/2 and 200", response.Proto, response.Status)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "the failed reload", func() bool {
		return strings.Contains(r.Scrape(), "namedprocess_exporter_web_config_last_reload_successful 0")
	})
	r.waitForLog("cannot reload web configuration")
	next := writeCertificate(t, dir)
	testenv.WaitFor(t, "the new certificate", func() bool {
		r.Client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: next}}
		response, err := r.Client.Get(r.URL + "/-/healthy")
		return err == nil && response.Body.Close() == nil
	})
	if !strings.Contains(r.Scrape(), "namedprocess_exporter_web_config_last_reload_successful 1") {
		t.Error("got no namedprocess_exporter_web_config_last_reload_successful 1")
	}
}

// profiles returns the URL of the profiles.
func (r *instance) profiles() string {
	r.t.Helper()
	_, url, found := strings.Cut(r.waitForLog("serving profiles"), "url=")
	if !found {
		r.t.Fatal("got no address of the profiles in the log")
	}
	return strings.TrimSuffix(url, pprofPath)
}

// dial opens a connection to the exporter. The test cleanup closes it.
func (r *instance) dial() net.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(r.URL, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}
