package main

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/astutil"
)

// filtered returns a copy of a that drops the diagnostics for which drop
// returns true.
func filtered(a *analysis.Analyzer, drop func(*analysis.Pass, token.Pos) bool) *analysis.Analyzer {
	run, out := a.Run, *a
	out.Run = func(pass *analysis.Pass) (any, error) {
		p := *pass
		p.Report = func(d analysis.Diagnostic) {
			if !drop(pass, d.Pos) {
				pass.Report(d)
			}
		}
		return run(&p)
	}
	return &out
}

// hasNolint reports whether the line of pos has a comment //nolint, as
// golangci-lint has it.
func hasNolint(pass *analysis.Pass, pos token.Pos) bool {
	line := pass.Fset.Position(pos).Line
	for _, file := range pass.Files {
		if pos < file.FileStart || pos > file.FileEnd {
			continue
		}
		for _, group := range file.Comments {
			if strings.HasPrefix(group.List[0].Text, "//nolint:") && pass.Fset.Position(group.Pos()).Line == line {
				return true
			}
		}
	}
	return false
}

// ignoredError reports whether the error of the call at pos may be ignored: in
// tests, of Close, and of output to a terminal or to a log.
func ignoredError(pass *analysis.Pass, pos token.Pos) bool {
	if strings.HasSuffix(pass.Fset.Position(pos).Filename, "_test.go") {
		return true
	}
	for _, file := range pass.Files {
		if pos < file.FileStart || pos > file.FileEnd {
			continue
		}
		path, _ := astutil.PathEnclosingInterval(file, pos, pos)
		for _, node := range path {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				continue
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			return ok && (selector.Sel.Name == "Close" || strings.HasPrefix(selector.Sel.Name, "Fprint"))
		}
	}
	return false
}
