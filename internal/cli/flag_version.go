package cli

import (
	"runtime"
	"strings"

	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/internal/config"
)

// versionText is what --version prints, in the format of other exporters but
// without the fields that the build did not set.
func versionText() string {
	var b strings.Builder
	b.WriteString(config.Program + ", version ")
	if version.Version == "" {
		b.WriteString("unknown (built without make)")
	} else {
		b.WriteString(version.Version)
	}
	var source []string
	for _, field := range [][2]string{{"branch", version.Branch}, {"revision", version.GetRevision()}} {
		if isKnown(field[1]) {
			source = append(source, field[0]+": "+field[1])
		}
	}
	if len(source) > 0 {
		b.WriteString(" (" + strings.Join(source, ", ") + ")")
	}
	for _, field := range [][2]string{
		{"build user:       ", version.BuildUser},
		{"build date:       ", version.BuildDate},
		{"go version:       ", version.GoVersion},
		{"platform:         ", runtime.GOOS + "/" + runtime.GOARCH},
		{"tags:             ", version.GetTags()},
	} {
		if isKnown(field[1]) {
			b.WriteString("\n  " + field[0] + field[1])
		}
	}
	return b.String()
}

// isKnown reports whether the build set a value. Package version reports "unknown"
// for some values that the build did not set.
func isKnown(value string) bool { return value != "" && value != "unknown" }
