// Package inspect reports all attributes of single processes, as text or as JSON
// with the names and units of psutil.
//
// It reads processes with the permissions of its user, and with a timeout for each
// process. It marks the attributes that it could not read within the timeout.
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

// A Reporter writes reports of processes. Its fields select the processes, the attributes and the
// output format.
type Reporter struct {
	Targets     []string      // PIDs, comma-separated PIDs, or names
	Attrs       []string      // names from Attrs; all if empty
	JSON        bool          // write one JSON document, not text
	ShowEnviron bool          // show the values of environment variables
	Watch       time.Duration // interval of repeated reports; 0 reports once
	Timeout     time.Duration // for the reads of one process
	Colour      bool          // use terminal escape sequences
	By          string        // name and version of the program, for the JSON document

	reader *reader
	named  map[int]bool // PIDs that were found by a name
}

// Validate returns an error if a field is invalid.
func (r *Reporter) Validate() error {
	switch {
	case len(r.Targets) == 0:
		return errors.New("missing argument: PID or process name")
	case r.Watch < 0:
		return fmt.Errorf("invalid value %q for --watch: must not be negative", r.Watch)
	case r.Timeout <= 0:
		return fmt.Errorf("invalid value %q for --timeout: must be greater than 0", r.Timeout)
	}
	for _, name := range r.Attrs {
		if !slices.ContainsFunc(attributes(), func(a attribute) bool { return string(a.name) == name }) {
			return fmt.Errorf("invalid value %q for --attrs: want one of %s", name, strings.Join(Attrs(), ", "))
		}
	}
	return nil
}

// Run writes the report. With Watch it repeats until ctx ends.
func (r *Reporter) Run(ctx context.Context, w io.Writer) error {
	r.reader = newReader(r.Timeout)
	if r.Watch == 0 {
		return r.report(ctx, w)
	}
	return r.repeat(ctx, w)
}

// repeat writes a report at every interval. It continues after an unresponsive
// process, which may respond later, and ends after any other error.
func (r *Reporter) repeat(ctx context.Context, w io.Writer) error {
	ticker := time.NewTicker(r.Watch)
	defer ticker.Stop()
	for {
		if r.Colour { // cursor to the top left, clear the screen
			if _, err := io.WriteString(w, "\x1b[H\x1b[2J"); err != nil {
				return err
			}
		}
		err := r.report(ctx, w)
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
func (r *Reporter) report(ctx context.Context, w io.Writer) error {
	pids, err := r.pids()
	if err != nil {
		return err
	}
	if r.JSON {
		r.reader.begin(ctx, pids, r.selected())
		return r.writeJSON(w, pids)
	}
	r.reader.begin(ctx, pids, r.shown())
	return r.writeText(w, pids)
}

// pids returns the PIDs of the targets. It does not check whether a process with a
// given PID exists.
func (r *Reporter) pids() ([]int, error) {
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

// hasExited reports whether err means that a process has exited since it was found by its name.
func (r *Reporter) hasExited(pid int, err error) bool {
	return r.named[pid] && errors.Is(err, process.ErrGone)
}

// pidsNamed returns the PIDs of the processes with one of these names. A name
// without a process is an error.
func (r *Reporter) pidsNamed(names []string) ([]int, error) {
	all, err := process.PIDs()
	if err != nil {
		return nil, err
	}
	var pids []int
	var unresponsive error
	r.named = make(map[int]bool)
	missing := make(map[string]bool)
	for _, name := range names {
		missing[name] = true
	}
	for _, pid := range all {
		results, err := r.reader.read(pid, []process.Attr{process.AttrName})
		if err == nil {
			err = results[process.AttrName].err
		}
		switch name := results[process.AttrName].value; {
		case errors.Is(err, ErrUnresponsive):
			unresponsive = errors.Join(unresponsive, fmt.Errorf("%w: %d", ErrUnresponsive, pid))
		case err == nil && slices.Contains(names, name.(string)):
			pids = append(pids, pid)
			r.named[pid] = true
			delete(missing, name.(string))
		}
	}
	for _, name := range names {
		if missing[name] {
			return nil, errors.Join(fmt.Errorf("no process has the name %q", name), unresponsive)
		}
	}
	return pids, nil
}
