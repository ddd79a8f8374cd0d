package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVsockPort(t *testing.T) {
	tests := []struct {
		name, address string
		want          uint32
		ok            bool
	}{
		{"usual", "vsock://:9256", 9256, true},
		{"more than 16 bits", "vsock://:4000000000", 4000000000, true},
		{"none", "vsock://", 0, false},
		{"no number", "vsock://:x", 0, false},
		{"too large", "vsock://:5000000000", 0, false},
		{"path", "vsock://:1/x", 0, false},
		{"no URL", "vsock://[", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := vsockPort(tt.address)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %d and error %v, want %d", got, err, tt.want)
			}
		})
	}
}

// password fits the hash, which has the least cost that bcrypt knows.
const (
	password     = "open sesame"
	passwordHash = "$2a$04$WLF0lXfnmiwQVdu3ULcfiOb4NfbCvdHm9S83eeBX1rtGdl1IqMa.i"
)

// TestTLSAndPasswordOnTwoListeners would fail with one server for both: the
// race detector, with which the exporter under test is built, reports the
// races of its start.
//
// Trap 80: the web configuration file.
func TestTLSAndPasswordOnTwoListeners(t *testing.T) {
	onlyLinux(t)
	dir := t.TempDir()
	pool := writeCertificate(t, dir)
	config := filepath.Join(dir, "web.yml")
	text := "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {alice: '" + passwordHash + "'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := launch(t, "-web.config.file", config, "-web.listen-address=127.0.0.1:0", "-web.listen-address=127.0.0.1:0")
	eventually(t, "two listeners", func() bool { return len(r.addresses()) == 2 })
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

// writeCertificate writes cert.pem and key.pem and returns who trusts them.
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

// TestSystemdSocket passes a socket the way systemd does: as file 3, with the
// number of files and the process that they are for in the environment.
func TestSystemdSocket(t *testing.T) {
	onlyLinux(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	command := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, binary, "-web.systemd-socket")
	command.ExtraFiles = []*os.File{socket}
	r := startCommand(t, command)
	r.URL = "http://" + listener.Addr().String()
	if body := r.Scrape(); !strings.Contains(body, "process_exporter_build_info{") {
		t.Errorf("got %.300s", body)
	}
	eventually(t, "the address in the log", func() bool { return len(r.addresses()) > 0 })
	if got := r.addresses(); len(got) != 1 || got[0] != listener.Addr().String() {
		t.Errorf("listens on %q, want %s", got, listener.Addr())
	}
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d", status)
	}
}

// TestNotify plays systemd waiting for what the service says about itself.
func TestNotify(t *testing.T) {
	onlyLinux(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, 1024)
		if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buf)
		if got := string(buf[:n]); err != nil || !strings.HasPrefix(got, want) {
			t.Fatalf("got %q and error %v, want %q", got, err, want)
		}
	}
	command := exec.Command(binary, "-web.listen-address=127.0.0.1:0", "-config.path", writeFile(t, "c.yml", groupOfAll("x")))
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	r := startCommand(t, command)
	expect("READY=1")
	r.Signal(syscall.SIGHUP)
	expect("RELOADING=1\nMONOTONIC_USEC=")
	expect("READY=1")
	r.Signal(syscall.SIGTERM)
	expect("STOPPING=1")
	if status := r.Wait(); status != 0 {
		t.Errorf("got exit status %d", status)
	}
}

// serveSlowly serves one request that waits until release is closed, and
// returns the servers, their address, and where its answer will come.
func serveSlowly(t *testing.T, release <-chan struct{}) (set *serverSet, address string, answered <-chan error) {
	t.Helper()
	s, err := parseFlags([]string{"-web.listen-address=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen(s.web)
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	log := slog.New(slog.DiscardHandler)
	web, err := newWebSettings("", log)
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{settings: s, log: log, web: web}
	set = e.start(listeners, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	t.Cleanup(set.close)
	address = listeners[0].Addr().String()
	result := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + address)
		if err == nil {
			err = response.Body.Close()
		}
		result <- err
	}()
	<-entered
	return set, address, result
}

func TestDrainFinishesRequests(t *testing.T) {
	release := make(chan struct{})
	set, address, answered := serveSlowly(t, release)
	drained := make(chan error, 1)
	go func() { drained <- set.drain(patience) }()
	eventually(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-drained:
		t.Fatalf("got done and error %v with a request under way", err)
	case err := <-answered:
		t.Fatalf("got the answer too early, or error %v", err)
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("got error %v of the request", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("got error %v", err)
	}
}

func TestDrainGivesUp(t *testing.T) {
	release := make(chan struct{})
	set, _, answered := serveSlowly(t, release)
	defer close(release)
	if err := set.drain(time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("got an answer of a request that was cut off")
	}
}

// TestSecondSignal stops an exporter that is busy with a request which takes
// longer than anybody wants to wait: a profile of a minute.
func TestSecondSignal(t *testing.T) {
	onlyLinux(t)
	r := startExporter(t, "-web.pprof-address=127.0.0.1:0")
	metrics := r.URL
	if response, _ := r.Get(pprofPath); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s of profiles beside the metrics", response.Status)
	}
	r.URL = r.profiles()
	if response, _ := r.Get("/metrics"); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s of metrics beside the profiles", response.Status)
	}
	fmt.Fprint(r.dial(), "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "the profile to begin", func() bool {
		_, stacks := r.Get("/debug/pprof/goroutine?debug=2")
		return strings.Contains(stacks, "net/http/pprof.Profile(")
	})
	r.URL = metrics
	r.Signal(syscall.SIGTERM)
	r.waitForLog("Stopping")
	r.Signal(syscall.SIGHUP) // asks for no stop
	r.Signal(syscall.SIGINT)
	if status := r.Wait(); status != 1 {
		t.Errorf("got exit status %d, want 1", status)
	}
	r.waitForLog("second signal")
}

// profiles returns where the exporter serves its profiles.
func (r *running) profiles() string {
	r.t.Helper()
	_, url, found := strings.Cut(r.waitForLog("Serving profiles"), "pprof=")
	if !found {
		r.t.Fatal("the log does not name the address")
	}
	return strings.TrimSuffix(url, pprofPath)
}

// dial opens a connection to the exporter that ends with the test.
func (r *running) dial() net.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(r.URL, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}
