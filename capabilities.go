package main

import (
	"slices"
	"sync"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// A selfTest is what was found to be missing, and for what. Rules that a reload
// brings may want more, and another source takes other rights.
type selfTest struct {
	held func(...sandbox.Capability) []sandbox.Capability

	mu    sync.Mutex    // guards what follows: reloads and walks come at the same time
	kind  platform.Kind // "" before the start, and in commands, which keep all that they have
	words platform.IdentityFields
	pairs [][2]string // see missing
}

// testAgain tells what cannot be had with the capabilities that are left, for a
// source and for rules that need some words. The log has it when it is new.
func (e *exporter) testAgain(kind platform.Kind, words platform.IdentityFields) {
	e.tested.mu.Lock()
	defer e.tested.mu.Unlock()
	e.test(kind, words)
}

// rulesChanged does the test again for other rules.
func (e *exporter) rulesChanged(words platform.IdentityFields) {
	e.tested.mu.Lock()
	defer e.tested.mu.Unlock()
	if e.tested.kind != "" {
		e.test(e.tested.kind, words)
	}
}

// sourceUsed does the test again after a walk that asked another source.
func (e *exporter) sourceUsed(kind platform.Kind) {
	e.tested.mu.Lock()
	defer e.tested.mu.Unlock()
	if was := e.tested.kind; was != "" && kind != "" && kind != was { // a walk may have failed
		e.test(kind, e.tested.words)
	}
}

// test needs the lock.
func (e *exporter) test(kind platform.Kind, words platform.IdentityFields) {
	was := e.tested.pairs
	pairs := missing(protectedData(kind, e.settings, words, memoryCapability()), e.tested.held(everyCapability...))
	e.tested.kind, e.tested.words, e.tested.pairs = kind, words, pairs
	for _, p := range was {
		if !slices.Contains(pairs, p) {
			e.privileges.missing.DeleteLabelValues(p[0], p[1])
		}
	}
	for _, p := range pairs {
		e.privileges.missing.WithLabelValues(p[0], p[1]).Set(1)
	}
	if len(pairs) > 0 && !slices.Equal(pairs, was) {
		e.log.Warn("Some data of other users' processes cannot be read and is left out", "missing", describeMissing(pairs))
	}
}
