// Command kernels boots kernels of Debian in QEMU and checks the exporter on each. It prints
// one line per check and one column per machine.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

var (
	bullseye = kernel{version: "5.10", arch: "amd64", suite: "bullseye-security", archive: "debian-security"}
	bookworm = kernel{version: "6.1", arch: "amd64", suite: "bookworm", archive: "debian"}
	trixie   = kernel{version: "6.12", arch: "amd64", suite: "trixie", archive: "debian"}
	sid      = kernel{version: "7", arch: "amd64", suite: "sid", archive: "debian"}
)

func (k kernel) arm64() kernel { k.arch = "arm64"; return k }

// machines are the columns of the table. QEMU crashes with 16 CPUs of amd64.
var machines = []machine{
	{bullseye, 2, 1500}, {bookworm, 2, 1500}, {trixie, 2, 1500}, {sid, 2, 1500},
	{bookworm.arm64(), 2, 1500}, {trixie.arm64(), 2, 1500}, {trixie.arm64(), 16, 3000},
}

func main() {
	cache := flag.String("cache", ".cache/kernels", "`directory` for kernels, programs and console logs")
	only := flag.String("run", "", "check only machines whose name matches this `regexp`")
	checks := flag.String("checks", "", "run only checks whose name matches this `regexp`")
	repeat := flag.Int("repeat", 1, "run each check this `number` of times, until it fails")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	failures := 0
	var rows []row
	for _, m := range machines {
		if !pattern.MatchString(m.String()) {
			continue
		}
		fmt.Fprintln(os.Stderr, "booting", m)
		begin := time.Now()
		r, err := m.check(*cache, fmt.Sprintf("CHECKS=%q REPEAT=%d", *checks, *repeat))
		rows = append(rows, row{m.String(), time.Since(begin), r})
		for _, failure := range r.failures(err) {
			failures++
			fmt.Fprintf(os.Stderr, "%s: %s\n", m, failure)
		}
	}
	printTable(rows)
	for _, arch := range crossArchs {
		if !pattern.MatchString(arch) {
			continue
		}
		err := checkCrossBuild(arch, *cache)
		if err != nil {
			failures++
		}
		fmt.Printf("linux/%s under qemu-user: %v\n", arch, orOK(err))
	}
	if failures > 0 {
		os.Exit(1)
	}
}

func orOK(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}

// A row is the result of one machine, which printTable prints as a column.
type row struct {
	name   string
	took   time.Duration
	result *result
}

// printTable prints one line per check and one column per machine. A check that did not run has
// the result "missing".
func printTable(rows []row) {
	if len(rows) == 0 {
		return
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(title string, cell func(row) string) {
		fmt.Fprint(table, title)
		for _, r := range rows {
			fmt.Fprint(table, "\t", cell(r))
		}
		fmt.Fprintln(table)
	}
	line("check", func(r row) string { return r.name })
	most := slices.MaxFunc(rows, func(a, b row) int { return cmp.Compare(len(a.result.checks), len(b.result.checks)) })
	for _, name := range most.result.checks {
		line(name, func(r row) string {
			status, _, _ := strings.Cut(r.result.status[name], " ")
			return cmp.Or(status, "missing")
		})
	}
	line("duration", func(r row) string { return r.took.Round(time.Second).String() })
	_ = table.Flush()
}

// check boots a machine with a kernel of the cache. The result is never nil.
func (m machine) check(cache, parameters string) (*result, error) {
	image, err := m.image(cache)
	if err != nil {
		return &result{}, err
	}
	dir := filepath.Join(cache, "run")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &result{}, err
	}
	return retryBoot(func() (*result, error) { return m.boot(context.Background(), image, dir, parameters) })
}

// maxBoots is the number of attempts to boot a machine.
const maxBoots = 3

// retryBoot boots again if the kernel stops before the guest program runs. QEMU emulates
// kernels that modify their own code imperfectly: Linux 6.12 for amd64 sometimes crashes in
// sched_clock_cpu during its start. What fails after the start is not tried again.
func retryBoot(boot func() (*result, error)) (r *result, err error) {
	for range maxBoots {
		if r, err = boot(); err == nil || len(r.checks) > 0 {
			break
		}
		fmt.Fprintln(os.Stderr, "the kernel did not start:", err)
	}
	return r, err
}
