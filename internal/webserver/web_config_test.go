package webserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestWebConfigRejectsDeviceFiles uses a certificate file without end.
func TestWebConfigRejectsDeviceFiles(t *testing.T) {
	path := writeFile(t, "web.yml", "tls_server_config: {cert_file: /dev/zero, key_file: /dev/zero}\n")
	if _, _, err := loadWebConfig(path); err == nil || !strings.Contains(err.Error(), "/dev/zero is not a regular file") {
		t.Errorf("got error %v, want one that /dev/zero is not a regular file", err)
	}
}

// FuzzWebConfig checks that loading never panics, and returns either a
// configuration or an error.
func FuzzWebConfig(f *testing.F) {
	f.Add("http_server_config: {headers: {X-Frame-Options: deny}, http2: false}\nrate_limit: {interval: 1s, burst: 2}\n")
	f.Add("basic_auth_users: {a: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n")
	f.Add("tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, client_auth_type: RequireAnyClientCert}\n")
	path := filepath.Join(f.TempDir(), "web.yml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, stamps, err := loadWebConfig(path); (c == nil) != (err != nil) || len(stamps) == 0 {
			t.Errorf("got %+v, stamps %v and error %v, want a configuration or an error, and stamps", c, stamps, err)
		}
	})
}

// TestWebConfigChanges rewrites the file while it is in use.
func TestWebConfigChanges(t *testing.T) {
	path := writeFile(t, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	w, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.timeout = testTimeout // so that a busy machine does not matter
	steps := []struct {
		name, text, want string
	}{
		{"broken", "http_server_config: {hea", "deny"},
		{"unknown key", "nonsense: 1\n", "deny"},
		{"turns TLS on", "tls_server_config: {cert_file: x, key_file: y}\n", "deny"},
		{"good again", "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n", "sameorigin"},
		{"empty", "", ""},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, w.checked.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			w.checked = time.Time{}
			if got := w.get().headers["X-Frame-Options"]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.checked = time.Time{}
	before := w.current
	if w.get() != before {
		t.Error("got another configuration after the file was removed, want the previous one")
	}
}

// TestReloadKeepsProtection checks that a reload cannot disable authentication, or make client
// certificates optional.
func TestReloadKeepsProtection(t *testing.T) {
	users := map[string][]byte{"u": []byte("hash")}
	required, optional := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, &tls.Config{ClientAuth: tls.NoClientCert}
	for _, tt := range []struct {
		name          string
		current, next webSettings
		want          string
	}{
		{"no users", webSettings{users: users}, webSettings{}, "authentication"},
		{"another user", webSettings{users: users}, webSettings{users: map[string][]byte{"v": nil}}, ""},
		{"new users", webSettings{}, webSettings{users: users}, ""},
		{"optional certificates", webSettings{tls: required}, webSettings{tls: optional}, "client_auth_type"},
		{"required certificates", webSettings{tls: optional}, webSettings{tls: required}, ""},
		{"no TLS", webSettings{tls: optional}, webSettings{}, "TLS"},
	} {
		got := ""
		if err := checkReload(&tt.current, &tt.next); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "web.yml", "basic_auth_users: {alice: '"+string(hash)+"'}\n")
	w, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.timeout = testTimeout
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.checked = time.Time{}
	if len(w.get().users) != 1 {
		t.Error("got no users after the file became empty, want the previous one")
	}
}

// TestWebConfigReadTimeout blocks a reload. Requests use the previous
// configuration after the timeout, and the metric is 0.
func TestWebConfigReadTimeout(t *testing.T) {
	path := writeFile(t, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	w, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.timeout = 10 * time.Millisecond
	loaded := make(chan string) // the header that a blocked load returns
	w.load = func(string) (*webSettings, []fileStamp, error) {
		header := <-loaded
		if header == "" {
			panic("no header")
		}
		return &webSettings{headers: map[string]string{"X-Frame-Options": header}}, []fileStamp{statFile(path)}, nil
	}
	expect := func(header string, success float64) {
		t.Helper()
		w.mu.Lock()
		w.checked, w.stamps = time.Time{}, []fileStamp{{path: path}} // as if the file had not existed
		w.mu.Unlock()
		for range 3 {
			if got := w.get().headers["X-Frame-Options"]; got != header {
				t.Errorf("got %q, want %q", got, header)
			}
		}
		if got := successOf(t, w); got != success {
			t.Errorf("got metric value %v, want %v", got, success)
		}
	}
	waitForReload := func() {
		t.Helper()
		testenv.WaitFor(t, "the reload to end", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.pending == nil
		})
	}
	expect("deny", 0)
	loaded <- "sameorigin"
	waitForReload()
	if got := successOf(t, w); got != 1 {
		t.Errorf("got metric value %v after the reload, want 1", got)
	}
	expect("sameorigin", 0)
	loaded <- ""
	waitForReload()
	w.timeout = 0
	expect("sameorigin", 0)
	loaded <- "deny"
	waitForReload()
	if got := w.current.headers["X-Frame-Options"]; got != "deny" {
		t.Errorf("got %q after a failed and a successful reload, want %q", got, "deny")
	}
}

// successOf returns the value of the metric.
func successOf(t *testing.T, w *WebConfig) float64 {
	t.Helper()
	var m dto.Metric
	if err := w.success.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// TestWebConfigIsCached requires that requests do not parse an unchanged file.
func TestWebConfigIsCached(t *testing.T) {
	w, err := OpenWebConfig(writeFile(t, "web.yml", "rate_limit: {interval: 1s, burst: 2}\n"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.timeout = testTimeout // so that a busy machine does not matter
	first := w.get()
	w.checked = time.Time{}
	if w.get() != first {
		t.Error("got another configuration for an unchanged file, want the same")
	}
	h := &accessHandler{web: w, auth: newAuthenticator(), next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	var got []int
	for range 3 {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
		got = append(got, recorder.Code)
	}
	if got[0] != 200 || got[1] != 200 || got[2] != http.StatusTooManyRequests {
		t.Errorf("got status codes %d, want 200, 200, 429", got)
	}
}

// TestPlaintextPassword checks that the error names the user and the command that
// prints the hash, and does not contain the password.
func TestPlaintextPassword(t *testing.T) {
	path := writeFile(t, "web.yml", "basic_auth_users: {alice: secret}\n")
	_, _, err := loadWebConfig(path)
	if err == nil || !strings.Contains(err.Error(), `user "alice" is not a bcrypt hash; run: htpasswd -nBC 10 "alice"`) ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("got error %v, want one with the user and htpasswd", err)
	}
}

// TestDocumentedWebConfig loads the web configuration of docs/howto.md.
func TestDocumentedWebConfig(t *testing.T) {
	text, err := os.ReadFile("../../docs/howto.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```yml\n")
	block, _, closed := strings.Cut(block, "```\n")
	if !found || !closed {
		t.Fatal("got no block ```yml in docs/howto.md, want one")
	}
	const hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
	path := writeFile(t, "web.yml", strings.Replace(block, "<bcrypt hash>", hash, 1))
	_, command, found := strings.Cut(string(text), "```sh\nopenssl ")
	command, _, closed = strings.Cut(command, "```\n")
	if !found || !closed {
		t.Fatal("got no openssl command in docs/howto.md, want one")
	}
	makeCertificate(t, filepath.Dir(path), "openssl "+command)
	if c, _, err := loadWebConfig(path); err != nil || c.tls == nil || string(c.users["prometheus"]) != hash {
		t.Errorf("got %+v and error %v, want TLS and a user prometheus", c, err)
	}
}

// makeCertificate runs a command that writes server.crt and server.key, if openssl is installed.
// Otherwise it writes both itself.
func makeCertificate(t *testing.T, dir, command string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err == nil {
		create := exec.Command("sh", "-c", command)
		create.Dir = dir
		if out, err := create.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return
	}
	server := httptest.NewTLSServer(nil) // provides a certificate
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"server.key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWebConfigErrors(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"directory": dir, "device": "/dev/zero", "nothing": dir + "/none"} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), "--web.config.file="+path) {
				t.Errorf("got error %v, want one with the flag and the path", err)
			}
		})
	}
}
