package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// TestBuildInfo checks the labels that dashboards use as variables.
func TestBuildInfo(t *testing.T) {
	requireLinux(t)
	line := regexp.MustCompile(`(?m)^process_exporter_build_info\{(.*)\} 1$`).FindStringSubmatch(startExporter(t).Scrape())
	if line == nil {
		t.Fatal("got no process_exporter_build_info")
	}
	var names []string
	for _, pair := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[1], -1) {
		names = append(names, pair[1])
	}
	if got, want := strings.Join(names, " "), "branch goarch goos goversion revision tags version"; got != want {
		t.Errorf("got labels %s, want %s", got, want)
	}
}
