package cli

import (
	"fmt"
	"io"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/logging"
	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// checkFiles implements --config.check: it prints the errors of the rule file
// and of the web configuration, one per line. Warnings count as errors here.
func checkFiles(s *config.Settings, w io.Writer) error {
	findings := findErrors(s)
	for _, f := range findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	if len(findings) > 0 {
		return errFindings
	}
	_, err := fmt.Fprintln(w, validText)
	return err
}

// validText is printed if a check finds nothing.
const validText = "The configuration is valid."

func findErrors(s *config.Settings) []string {
	var findings []string
	rules, err := s.LoadRules()
	if err != nil {
		findings = append(findings, logging.OneLine(err))
	}
	for _, warning := range rules.Warnings {
		findings = append(findings, warning.String())
	}
	if path := *s.Web.WebConfigFile; path != "" {
		if err := webserver.CheckWebConfig(path); err != nil {
			findings = append(findings, fmt.Sprintf("--web.config.file: %s: %s", path, logging.OneLine(err)))
		}
	}
	return findings
}
