package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
)

// TestDeployedFlags checks that the systemd unit reads the files and variables
// of existing installations, and that the packaged flags are valid.
func TestDeployedFlags(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "systemd")
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	unit := read("process-exporter.service")
	for _, want := range []string{
		"EnvironmentFile=-/etc/default/process-exporter\n", "ExecStart=/usr/bin/process-exporter $OPTS $ARGS\n",
		"Alias=prometheus-process-exporter.service\n", "ExecReload=/bin/kill -HUP $MAINPID\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("got a unit without %q, want it", want)
		}
	}
	opts := regexp.MustCompile(`(?m)^OPTS='(.*)'$`).FindStringSubmatch(read("process-exporter.default"))
	if opts == nil {
		t.Fatal("got no OPTS in process-exporter.default, want it")
	}
	s, err := Parse(strings.Fields(opts[1]))
	if err != nil {
		t.Fatal(err)
	}
	if s.ConfigPath != "/etc/process-exporter/all.yaml" || (*s.Web.WebListenAddresses)[0] != ":9256" {
		t.Errorf("got rule file %s, address %v, want all.yaml and :9256", s.ConfigPath, *s.Web.WebListenAddresses)
	}
	rules, err := grouping.Load(filepath.Join(dir, "all.yaml"))
	if err != nil || len(rules.Warnings()) > 0 {
		t.Errorf("all.yaml: got error %v, warnings %v, want none", err, rules.Warnings())
	}
}
