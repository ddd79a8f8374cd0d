package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// errFindings says that a check has found and printed something.
var errFindings = errors.New("the configuration has faults")

// check prints what is wrong with the configuration, one line for each. What
// a start only warns of is a fault here, for whoever asks wants to know.
func check(s *settings, w io.Writer) error {
	findings := findFaults(s)
	for _, f := range findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	if len(findings) > 0 {
		return errFindings
	}
	_, err := fmt.Fprintln(w, "The configuration is good.")
	return err
}

func findFaults(s *settings) []string {
	var findings []string
	r, err := loadRules(s)
	if err != nil {
		findings = append(findings, oneLine(err))
	}
	for _, warning := range r.warnings {
		findings = append(findings, warning.String())
	}
	if path := *s.web.WebConfigFile; path != "" {
		if err := webserver.CheckWebConfig(path); err != nil {
			findings = append(findings, fmt.Sprintf("--web.config.file: %s: %s", path, oneLine(err)))
		}
	}
	return findings
}
