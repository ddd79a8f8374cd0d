package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
)

// TestDeployedFlags holds trap 84: the unit takes its flags from the file and
// the variables that existing installations have, and those flags mean what
// they meant.
func TestDeployedFlags(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile("deploy/systemd/" + name)
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
			t.Errorf("the unit lacks %q", want)
		}
	}
	opts := regexp.MustCompile(`(?m)^OPTS='(.*)'$`).FindStringSubmatch(read("process-exporter.default"))
	if opts == nil {
		t.Fatal("no OPTS in the file of defaults")
	}
	s, err := parseFlags(strings.Fields(opts[1]))
	if err != nil {
		t.Fatal(err)
	}
	if s.configPath != "/etc/process-exporter/all.yaml" || (*s.web.WebListenAddresses)[0] != ":9256" {
		t.Errorf("got configuration %s, address %v", s.configPath, *s.web.WebListenAddresses)
	}
	rules, err := grouping.Load("deploy/systemd/all.yaml")
	if err != nil || len(rules.Warnings()) > 0 {
		t.Errorf("all.yaml: error %v, warnings %v", err, rules.Warnings())
	}
}
