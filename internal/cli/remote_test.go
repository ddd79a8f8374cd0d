package cli

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRemoteCredentials checks that top reads the password and the CA of a running exporter from
// files and from the environment.
func TestRemoteCredentials(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bob" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"version":1,"interval_seconds":1,"exporter":{"scrape_success":true},"groups":[]}`))
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password, wrong := file("password", "s3cret\n"), file("wrong", "x")
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	address := strings.Replace(server.URL, "https://", "https://bob@", 1)
	// On a slow machine, a handshake that reads the certificates of the system can take longer than
	// its timeout.
	noRoots := map[string]string{"SSL_CERT_FILE": dir + "/none", "SSL_CERT_DIR": dir + "/none"}
	for _, tt := range []struct {
		name  string
		args  []string
		env   map[string]string
		wrong string // in the error; "" for success
	}{
		{"files", []string{"--password-file", password, "--ca-file", ca}, nil, ""},
		{"environment", nil, map[string]string{passwordVariable: "s3cret", caFileVariable: ca}, ""},
		{"insecure", []string{"--insecure"}, map[string]string{passwordVariable: "s3cret"}, ""},
		{"file before environment", []string{"--password-file", password}, map[string]string{passwordVariable: "x", caFileVariable: ca}, ""},
		{"no CA", []string{"--password-file", password}, noRoots, "certificate"},
		{"no password", []string{"--ca-file", ca}, nil, "requires a password: use --password-file or PROCESS_EXPORTER_PASSWORD"},
		{"wrong password", []string{"--ca-file", ca, "--password-file", wrong}, nil, "requires a password"},
		{"missing file", []string{"--ca-file", ca, "--password-file", dir + "/none"}, nil, "--password-file: open "},
		{"no certificate", []string{"--ca-file", password}, nil, "has no PEM certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			status, out, errs := runArgs(t, append([]string{"top", "--once", "--url", address}, tt.args...)...)
			if (status == 0) != (tt.wrong == "") || !strings.Contains(errs, tt.wrong) || strings.Contains(out+errs, "s3cret") {
				t.Errorf("got status %d, %s%s, want %q", status, out, errs, tt.wrong)
			}
		})
	}
}
