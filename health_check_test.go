package main

import (
	"strings"
	"testing"
)

func TestHealthCheckRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"socket of systemd": {"--web.systemd-socket"},
		"vsock":             {"--web.listen-address=vsock://:9256"},
		"no port":           {"--web.listen-address=localhost"},
		"no configuration":  {"--web.config.file=/nonexistent"},
	} {
		s, err := parseFlags(args)
		if err != nil {
			t.Fatal(err)
		}
		if err := healthCheck(t.Context(), s, &strings.Builder{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
