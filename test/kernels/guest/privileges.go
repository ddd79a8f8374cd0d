//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// compareAs starts an exporter, checks it with ok, which returns the data that is absent,
// and compares it with a worker of root.
func compareAs(u user, ok func(*exporter) (absent []string, err error), args ...string) error {
	e, err := run(u, args...)
	if err != nil {
		return err
	}
	defer e.stop()
	w, err := start("others", nil, "write=1", "threads=2", "wait")
	if err != nil {
		return err
	}
	defer w.end()
	absent, err := ok(e)
	return errors.Join(err, compare(e, []*worker{w}, absent...))
}

// checkMissing checks an exporter without capabilities: what is absent, the log and the metric.
func checkMissing(e *exporter) (absent []string, err error) {
	got, err := e.scrape()
	if e.source != "procfs" || !strings.Contains(e.reason, "CAP_BPF") || strings.Contains(strings.ToUpper(e.reason), "MEMLOCK") {
		return nil, fmt.Errorf("got source %s, reason %q, want procfs because of CAP_BPF", e.source, e.reason)
	}
	_, hasFiles := got["others open_filedesc{}"]
	_, hasIO := got["others write_bytes_total{}"]
	missing := got[`namedprocess_exporter_capability_missing{capability="CAP_DAC_READ_SEARCH",data="open_files"}`] == 1
	old := before(6, 2)
	if hasIO || hasFiles == old || missing != old || strings.Contains(e.logText(), "open_files") != old {
		err = fmt.Errorf("got I/O %v, open files %v, reported as missing %v", hasIO, hasFiles, missing)
	}
	absent = []string{"read_bytes", "write_bytes"}
	if old {
		absent = append(absent, "files")
	}
	return absent, err
}

func checkNoneMissing(e *exporter) (absent []string, err error) {
	if strings.Contains(e.logText(), "missing capabilities") {
		err = fmt.Errorf("got log %s, want no missing capabilities", e.logText())
	}
	return nil, err
}

// before reports whether the kernel is older than a version.
func before(major, minor int) bool {
	var name unix.Utsname
	_ = unix.Uname(&name)
	var x, y int
	_, _ = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &x, &y)
	return x < major || x == major && y < minor
}

// runWithBPF runs the source bpf as another user. Before Linux 5.11 the locked memory of
// that user is limited.
func (s *suite) runWithBPF() error {
	if !s.hasBPF() {
		return errSkipped
	}
	u := user{capabilities: []uintptr{unix.CAP_BPF, unix.CAP_PERFMON}}
	if before(5, 11) {
		e, err := run(u, "--source=auto")
		if err != nil {
			return err
		}
		if e.stop(); e.source != "procfs" || !strings.Contains(e.reason, "LimitMEMLOCK") {
			return fmt.Errorf("got source %s, reason %q, want procfs because of RLIMIT_MEMLOCK", e.source, e.reason)
		}
		const unlimited = unix.RLIM_INFINITY
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unlimited, Max: unlimited}); err != nil {
			return err
		}
	}
	return compareAs(u, func(e *exporter) ([]string, error) {
		if e.source != "bpf" {
			return nil, fmt.Errorf("got source %s, reason %q, want bpf", e.source, e.reason)
		}
		return nil, nil
	}, "--source=auto")
}

func runWithHidePID() error {
	e, err := run(user{}, "--source=procfs", "--procfs=/hidepid")
	if err != nil {
		return err
	}
	defer e.stop()
	got, err := e.scrape()
	if visible, ok := got["namedprocess_exporter_proc_visibility"]; visible != 0 || !ok {
		err = fmt.Errorf("got visibility %v, present %v, error %v, want 0", visible, ok, err)
	}
	return err
}

// runWithout writes a value to a file of the kernel, which denies BPF programs. The reason in
// the log names the file.
func runWithout(file, value, normal string) error {
	if os.WriteFile(file, []byte(value), 0) != nil {
		return errSkipped
	}
	defer func() { _ = os.WriteFile(file, []byte(normal), 0) }()
	return compareAs(user{root: true}, func(e *exporter) (absent []string, err error) {
		if e.source == "procfs" && !strings.Contains(e.reason, filepath.Base(file)) {
			err = fmt.Errorf("got source %s, reason %q, want %s in the reason", e.source, e.reason, filepath.Base(file))
		}
		return nil, err
	}, "--source=auto")
}
