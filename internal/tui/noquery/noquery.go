// Package noquery keeps the init function of bubbletea from querying the terminal.
//
// That function requests the background color of the terminal, even in commands that use
// no terminal. A terminal that does not answer delays the start by 5 seconds. Terminals of the
// type "dumb" get no request, so this package sets TERM to it, and [Restore] restores
// TERM.
//
// Go initializes packages whose imports are initialized in the order of their paths. This
// package imports only os, which the packages that bubbletea imports need too.
package noquery

import "os"

var term, isSet = hideTerminalType()

func hideTerminalType() (term string, isSet bool) {
	term, isSet = os.LookupEnv("TERM")
	_ = os.Setenv("TERM", "dumb") // without it, the query only costs time
	return term, isSet
}

// Restore restores TERM. It returns true, so that the initialization of a package that
// imports bubbletea can call it.
func Restore() bool {
	if !isSet {
		_ = os.Unsetenv("TERM")
		return true
	}
	_ = os.Setenv("TERM", term)
	return true
}
