// Command lint runs the analyzers that the project requires and that go vet
// lacks. It is a tool for go vet, which caches its results for each package:
//
//	go vet -vettool=lint ./...
//
// golangci-lint runs the same analyzers with the settings in .golangci.yml, but
// it takes minutes to compile.
package main

import (
	cyclop "github.com/bkielbasa/cyclop/pkg/analyzer"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/kisielk/errcheck/errcheck"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/ultraware/funlen"
	"github.com/uudashr/gocognit"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
)

// The limits of one function.
const (
	maxLines      = 60
	maxStatements = -1 // no limit
	maxCyclomatic = "20"
	maxCognitive  = "30"
)

func main() {
	unitchecker.Main(
		funlen.NewAnalyzer(maxLines, maxStatements, true),
		withFlag(cyclop.NewAnalyzer(), "maxComplexity", maxCyclomatic),
		withFlag(gocognit.Analyzer, "over", maxCognitive),
		ineffassign.Analyzer,
		filtered(errorlint.NewAnalyzer(), hasNolint),
		filtered(errcheck.Analyzer, ignoredError),
		noInit,
		lineLength,
		spelling,
	)
}

// withFlag sets a flag of an analyzer.
func withFlag(a *analysis.Analyzer, name, value string) *analysis.Analyzer {
	if err := a.Flags.Set(name, value); err != nil {
		panic(err) // the name and the value are constants
	}
	return a
}
