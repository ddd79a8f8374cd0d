package main

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

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// healthTimeout is below the 30 seconds that container engines give a check.
const healthTimeout = 5 * time.Second

// healthCheck asks the exporter that runs with the same flags whether it is
// healthy. It is for images without a shell, in which no other program could.
//
// It answers whether the exporter listens and serves, and so ignores whose
// certificate it shows. With passwords or client certificates, being turned
// away is an answer, too: it takes a living exporter to refuse.
func healthCheck(ctx context.Context, s *settings, w io.Writer) error {
	if *s.web.WebSystemdSocket {
		return errors.New("--health-check: with --web.systemd-socket the address is systemd's; ask systemctl status")
	}
	address := (*s.web.WebListenAddresses)[0]
	if strings.HasPrefix(address, "vsock://") {
		return fmt.Errorf("--health-check: %s is for other machines; give a TCP address as the first --web.listen-address", address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--health-check: --web.listen-address=%s: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	secure, err := webserver.UsesTLS(*s.web.WebConfigFile)
	if err != nil {
		return fmt.Errorf("--health-check: %w", err)
	}
	scheme := map[bool]string{false: "http://", true: "https://"}[secure]
	return askHealth(ctx, scheme+net.JoinHostPort(host, port)+healthyPath, w)
}

func askHealth(ctx context.Context, url string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("--health-check: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // see healthCheck
	}}
	response, err := client.Do(request)
	if err != nil {
		if wantsCertificate(err) {
			_, err = fmt.Fprintln(w, "Healthy: the exporter asks for a client certificate.")
			return err
		}
		return fmt.Errorf("--health-check: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusTooManyRequests:
		_, err = fmt.Fprintf(w, "Healthy: %s answers %s.\n", url, response.Status)
		return err
	}
	return fmt.Errorf("--health-check: %s answers %s", url, response.Status)
}

// wantsCertificate reports whether the exporter has hung up because we have no
// certificate of a client. It may say so after the connection is made, when the
// HTTP client hides what kind of error it was.
func wantsCertificate(err error) bool {
	var refused tls.AlertError
	return errors.As(err, &refused) || strings.Contains(err.Error(), "remote error: tls: ")
}
