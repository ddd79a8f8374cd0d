package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
			args := []string{"--web.listen-address=" + freeAddress(t)}
			if tt.webConfig != "" {
				path := filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-")+".yml")
				if err := os.WriteFile(path, []byte(tt.webConfig), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--web.config.file="+path)
			}
			r := startListening(t, args...)
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

// TestWatchdog counts WATCHDOG=1 messages. TestSystemdNotify checks that there are none without
// WATCHDOG_USEC.
func TestWatchdog(t *testing.T) {
	requireLinux(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	command := exec.Command(binary, "--web.listen-address=127.0.0.1:0")
	command.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=20000")
	r := startCommand(t, command)
	for messages := 0; messages < 5; {
		if err := socket.SetReadDeadline(time.Now().Add(testTimeout)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) == "WATCHDOG=1" {
			messages++
		}
	}
	r.Signal(syscall.SIGTERM)
	if status := r.Wait(); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
}
