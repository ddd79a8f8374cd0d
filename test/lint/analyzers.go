package main

import (
	"bytes"
	"go/ast"
	"go/token"
	"unicode/utf8"

	"github.com/golangci/misspell"
	"golang.org/x/tools/go/analysis"
)

// maxColumns is the limit of one line. A tab counts as one character.
const maxColumns = 140

// noInit reports init functions: they run before main can handle an error.
var noInit = &analysis.Analyzer{
	Name: "noinit",
	Doc:  "report init functions",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, file := range pass.Files {
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !ast.IsGenerated(file) {
					pass.Reportf(f.Pos(), "init function")
				}
			}
		}
		return nil, nil
	},
}

// lineLength reports lines of more than maxColumns characters.
var lineLength = &analysis.Analyzer{
	Name: "linelength",
	Doc:  "report long lines",
	Run: func(pass *analysis.Pass) (any, error) {
		return nil, eachLine(pass, func(line []byte, pos token.Pos) {
			if n := utf8.RuneCount(line); n > maxColumns {
				pass.Reportf(pos, "line has %d characters, more than %d", n, maxColumns)
			}
		})
	},
}

// spelling reports common misspellings in comments and strings.
var spelling = &analysis.Analyzer{
	Name: "misspell",
	Doc:  "report misspelled words",
	Run: func(pass *analysis.Pass) (any, error) {
		replacer := misspell.New()
		replacer.RemoveRule([]string{"exportfs"}) // a kernel interface
		replacer.Compile()
		return nil, eachLine(pass, func(line []byte, pos token.Pos) {
			_, found := replacer.Replace(string(line))
			for _, f := range found {
				pass.Reportf(pos, "%q is a misspelling of %q", f.Original, f.Corrected)
			}
		})
	},
}

// eachLine calls use with every line of the files of pass that are not
// generated.
func eachLine(pass *analysis.Pass, use func(line []byte, pos token.Pos)) error {
	for _, file := range pass.Files {
		if ast.IsGenerated(file) {
			continue
		}
		tokens := pass.Fset.File(file.FileStart)
		text, err := pass.ReadFile(tokens.Name())
		if err != nil {
			return err
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if n := i + 1; n <= tokens.LineCount() {
				use(line, tokens.LineStart(n))
			}
		}
	}
	return nil
}
