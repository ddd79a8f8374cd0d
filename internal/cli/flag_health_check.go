package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// healthTimeout is less than the 30 seconds that container engines allow.
const healthTimeout = 5 * time.Second

// checkHealth implements --health-check, for container images without a shell:
// it requests the health of the exporter that runs with the same flags.
//
// It checks whether the exporter serves, so it accepts any certificate. If the
// exporter requires a password or a client certificate, the refusal shows that
// it serves.
func checkHealth(ctx context.Context, s *config.Settings, w io.Writer) error {
	if *s.Web.WebSystemdSocket {
		return errors.New("--health-check: --web.systemd-socket hides the address; use systemctl status")
	}
	address := (*s.Web.WebListenAddresses)[0]
	if strings.HasPrefix(address, "vsock://") {
		return fmt.Errorf("--health-check: cannot connect to %s from this machine; use a TCP address as the first --web.listen-address", address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--health-check: --web.listen-address=%s: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	usesTLS, err := webserver.UsesTLS(*s.Web.WebConfigFile)
	switch {
	case err != nil:
		return fmt.Errorf("--health-check: %w", err)
	case usesTLS:
		scheme = "https://"
	}
	return requestHealth(ctx, scheme+net.JoinHostPort(host, port)+daemon.HealthyPath, w)
}

func requestHealth(ctx context.Context, url string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("--health-check: %w", err)
	}
	request.Host = "localhost" // see --web.allowed-hosts
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // see checkHealth
	}}
	response, err := client.Do(request)
	if err != nil {
		if isCertificateRequired(err) {
			_, err = fmt.Fprintln(w, "Healthy: the exporter requires a client certificate.")
			return err
		}
		return fmt.Errorf("--health-check: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusTooManyRequests:
		_, err = fmt.Fprintf(w, "Healthy: got %s from %s.\n", response.Status, url)
		return err
	}
	return fmt.Errorf("--health-check: got %s from %s", response.Status, url)
}

// isCertificateRequired reports whether the server closed the connection because
// the client has no certificate. The alert may arrive after the handshake, when
// the HTTP client hides the type of the error.
func isCertificateRequired(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls: ")
}
