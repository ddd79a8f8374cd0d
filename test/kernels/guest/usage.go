//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procUsage returns the values of a process in /proc, by the names of usage.
func procUsage(pid int) (map[string]float64, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	values := make(map[string]float64)
	var failed error
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			failed = err
		}
		return string(text)
	}
	_, stat, _ := strings.Cut(read("stat"), ") ")
	fields := strings.Fields(stat) // from field 3 on
	if len(fields) < 20 {
		return nil, fmt.Errorf("process %d: got stat %q (%v)", pid, stat, failed)
	}
	values["minor_faults"], values["major_faults"] = number(fields[7]), number(fields[9])
	values["cpu"] = (number(fields[11]) + number(fields[12])) / 100
	values["threads"] = number(fields[17])
	if pages := strings.Fields(read("statm")); len(pages) > 1 {
		values["resident"] = number(pages[1]) * float64(os.Getpagesize())
	}
	values["read_bytes"] = number(line(read("io"), "read_bytes:"))
	values["write_bytes"] = number(line(read("io"), "write_bytes:"))
	tasks, err := filepath.Glob(dir + "/task/*/status")
	for _, task := range tasks {
		status := read(strings.TrimPrefix(task, dir))
		values["switches"] += number(line(status, "voluntary_ctxt_switches:")) + number(line(status, "nonvoluntary_ctxt_switches:"))
	}
	files, err2 := os.ReadDir(dir + "/fd")
	if values["files"] = float64(len(files)); err == nil {
		err = err2
	}
	values["processes"] = 1
	if failed == nil {
		failed = err
	}
	return values, failed
}

// line returns the value of the line of text that begins with a key.
func line(text, key string) string {
	for l := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(l, key); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// groupUsage returns the values of a group in a scrape, by the same names.
func (s scrape) groupUsage(group string) map[string]float64 {
	values := make(map[string]float64)
	for name, series := range map[string][]string{
		"minor_faults": {"minor_page_faults_total{}"},
		"major_faults": {"major_page_faults_total{}"},
		"cpu":          {`cpu_seconds_total{mode="user"}`, `cpu_seconds_total{mode="system"}`},
		"threads":      {"num_threads{}"},
		"resident":     {`memory_bytes{memtype="resident"}`},
		"read_bytes":   {"read_bytes_total{}"},
		"write_bytes":  {"write_bytes_total{}"},
		"switches":     {`context_switches_total{ctxswitchtype="voluntary"}`, `context_switches_total{ctxswitchtype="nonvoluntary"}`},
		"files":        {"open_filedesc{}"},
		"processes":    {"num_procs{}"},
	} {
		for _, key := range series {
			if value, ok := s[group+" "+key]; ok {
				values[name] += value
			}
		}
	}
	return values
}

// tolerance returns by how much two readings of a value of a waiting worker may differ. Its
// runtime uses some time, and the kernel rounds user and system time down to ticks.
func tolerance(name string, threads float64) float64 {
	switch name {
	case "cpu":
		return 0.03
	case "switches", "minor_faults":
		return 10
	case "resident":
		return threads * float64(os.Getpagesize())
	}
	return 0
}

// difference describes the values of got that differ from want, except the values that skip names,
// or returns "".
func difference(got, want map[string]float64, skip ...string) string {
	for _, name := range skip {
		delete(want, name)
	}
	var text []string
	for name, w := range want {
		if g, ok := got[name]; !ok || max(g-w, w-g) > tolerance(name, want["threads"]) {
			text = append(text, fmt.Sprintf("%s: got %v, want %v", name, g, w))
		}
	}
	return strings.Join(text, "; ")
}
