package cli

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/config"
)

func TestHealthCheckInvalid(t *testing.T) {
	for name, args := range map[string][]string{
		"systemd socket":       {"--web.systemd-socket"},
		"vsock":                {"--web.listen-address=vsock://:9256"},
		"no port":              {"--web.listen-address=localhost"},
		"no web configuration": {"--web.config.file=/nonexistent"},
	} {
		s, err := config.Parse(args)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkHealth(t.Context(), s, &strings.Builder{}); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
