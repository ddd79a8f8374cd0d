// Package inspect tells all that there is to know about a few processes, as text
// for people or as JSON with the names and units of psutil.
//
// It looks at processes as the user who runs it, and waits for none longer than
// it is told: what a process does not answer by then is marked.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// A Report says what to tell of which processes, and how.
type Report struct {
	Targets     []string      // PIDs, lists of them with commas, or names
	Attrs       []string      // what to tell, of Attrs; none is all
	JSON        bool          // one document for programs
	ShowEnviron bool          // the values of environment variables, too
	Watch       time.Duration // again after every such time; 0 reports once
	Timeout     time.Duration // for the answers of one process
	Colour      bool          // for a terminal
	By          string        // who made it, for the document

	asker *asker
}

// Validate returns what cannot be reported as asked.
func (r *Report) Validate() error {
	switch {
	case len(r.Targets) == 0:
		return errors.New("no process is named: write a PID or a name")
	case r.Watch < 0:
		return fmt.Errorf("invalid value %q for --watch: a pause cannot be negative", r.Watch)
	case r.Timeout <= 0:
		return fmt.Errorf("invalid value %q for --timeout: it takes some time to answer", r.Timeout)
	}
	for _, name := range r.Attrs {
		if !slices.ContainsFunc(facets(), func(f facet) bool { return f.name == name }) {
			return fmt.Errorf("invalid value %q for --attrs: there are %s", name, strings.Join(Attrs(), ", "))
		}
	}
	return nil
}

// Run writes the report, and with Watch again and again until ctx ends.
func (r *Report) Run(ctx context.Context, w io.Writer) error {
	r.asker = newAsker(r.Timeout)
	if r.Watch == 0 {
		return r.report(w)
	}
	return r.repeat(ctx, w)
}

// repeat reports again and again. A process that does not answer may do so the
// next time; any other trouble ends it.
func (r *Report) repeat(ctx context.Context, w io.Writer) error {
	ticker := time.NewTicker(r.Watch)
	defer ticker.Stop()
	for {
		if r.Colour { // to the top left corner, and wipe the screen
			if _, err := io.WriteString(w, "\x1b[H\x1b[2J"); err != nil {
				return err
			}
		}
		err := r.report(w)
		if err != nil && !errors.Is(err, ErrUnresponsive) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// report writes one report of all targets.
func (r *Report) report(w io.Writer) error {
	pids, err := r.pids()
	if err != nil {
		return err
	}
	if r.JSON {
		return r.writeJSON(w, pids)
	}
	return r.writeText(w, pids)
}

// pids returns the processes that the targets name. A number is taken as it
// is, whether or not there is such a process.
func (r *Report) pids() ([]int, error) {
	var pids []int
	var names []string
	for _, target := range r.Targets {
		for part := range strings.SplitSeq(target, ",") {
			if pid, err := strconv.Atoi(part); err == nil {
				pids = append(pids, pid)
			} else {
				names = append(names, part)
			}
		}
	}
	if len(names) > 0 {
		found, err := r.pidsNamed(names)
		if err != nil {
			return nil, err
		}
		pids = append(pids, found...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// pidsNamed returns the processes with one of these names. Each must be there.
func (r *Report) pidsNamed(names []string) ([]int, error) {
	all, err := process.PIDs()
	if err != nil {
		return nil, err
	}
	var pids []int
	var silent error
	missing := make(map[string]bool)
	for _, name := range names {
		missing[name] = true
	}
	for _, pid := range all {
		answers, err := r.asker.ask(pid, []process.Attr{"name"})
		if err == nil {
			err = answers["name"].err
		}
		switch name := answers["name"].value; {
		case errors.Is(err, ErrUnresponsive):
			silent = errors.Join(silent, fmt.Errorf("%w: %d", ErrUnresponsive, pid))
		case err == nil && slices.Contains(names, name.(string)):
			pids = append(pids, pid)
			delete(missing, name.(string))
		}
	}
	for _, name := range names {
		if missing[name] {
			return nil, errors.Join(fmt.Errorf("no process is called %q", name), silent)
		}
	}
	return pids, nil
}
