package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHealthCheck runs --health-check with the flags of a running exporter.
func TestHealthCheck(t *testing.T) {
	requireLinux(t)
	dir := t.TempDir()
	writeCertificate(t, dir)
	tests := []struct {
		name, webConfig, want string
	}{
		{name: "plain", want: "got 200"},
		{"TLS", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n", "got 200"},
		{"password", "basic_auth_users: {prometheus: '" + passwordHash + "'}\n", "got 401"},
		{"client certificate",
			"tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem, " +
				"client_auth_type: RequireAndVerifyClientCert}\n", "Healthy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var args []string
			if tt.webConfig != "" {
				path := filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-")+".yml")
				if err := os.WriteFile(path, []byte(tt.webConfig), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--web.config.file="+path)
			}
			r := startListening(t, withListener(args)...)
			args = append(args, "--web.listen-address="+r.addresses()[0])
			if stdout, stderr, status := runToExit(t, append(args, "--health-check")...); status != 0 || !strings.Contains(stdout, tt.want) {
				t.Errorf("got status %d, output %q %q, want %q", status, stdout, stderr, tt.want)
			}
			r.Stop()
			if stdout, stderr, status := runToExit(t, append(args, "--health-check")...); status != 1 || stdout != "" ||
				!strings.Contains(stderr, "--health-check") {
				t.Errorf("after the exporter exited: got status %d, output %q %q", status, stdout, stderr)
			}
		})
	}
}
