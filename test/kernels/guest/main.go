//go:build linux

// Command guest is the first process of a virtual machine. It starts the exporter and
// workers of known cost, compares the metrics with /proc and wait4(2), prints one line per
// check and powers off. With arguments it is a worker.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// config groups processes by name. The first rule tests paths of both versions of cgroups.
const config = `process_names:
- {name: "v1 {{.Comm}}", cgroup: [^/kernels-v1$]}
- {name: "v2 {{.Comm}}", cgroup: [^/kernels-v2$]}
- {name: "{{.Comm}}", cmdline: [.+]}
`

// errSkipped is the result of a check that this kernel cannot run.
var errSkipped = errors.New("not on this kernel")

func main() {
	if len(os.Args) > 1 {
		if err := work(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	defer func() { _ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) }()
	fmt.Println() // the firmware does not end its last line
	err := setUp()
	if err == nil {
		err = os.WriteFile("/config.yaml", []byte(config), 0o644)
	}
	report("set up", time.Now(), err)
	s := &suite{}
	runCheck(check{"bpf source", s.startExporters}, 1)
	// These variables are parameters of the kernel.
	only, skip := regexp.MustCompile(os.Getenv("CHECKS")), regexp.MustCompile(cmp.Or(os.Getenv("SKIP"), "^$"))
	repeat, _ := strconv.Atoi(os.Getenv("REPEAT"))
	for _, c := range s.checks() {
		if only.MatchString(c.name) && !skip.MatchString(c.name) {
			runCheck(c, max(repeat, 1))
		}
	}
	fmt.Println("CHECKS END")
}

// runCheck runs a check a number of times, until it fails.
func runCheck(c check, times int) {
	begin := time.Now()
	var err error
	for i := 0; i < times && err == nil; i++ {
		err = c.run()
	}
	report(c.name, begin, err)
}

// report prints the result of a check.
func report(name string, begin time.Time, err error) {
	took := time.Since(begin).Round(100 * time.Millisecond)
	switch {
	case err == nil:
		fmt.Printf("CHECK %s: ok (%v)\n", name, took)
	case errors.Is(err, errSkipped):
		fmt.Printf("CHECK %s: skipped (%v)\n", name, err)
	default:
		fmt.Printf("CHECK %s: FAILED %q\n", name, err)
	}
}
