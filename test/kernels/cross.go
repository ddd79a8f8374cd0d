package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// crossArchs are the architectures of Go whose build runs under qemu-user, with /proc of
// this machine.
var crossArchs = []string{"386", "arm", "arm64", "riscv64", "s390x"}

// qemuArchs are the names in QEMU of architectures that Go names differently.
var qemuArchs = map[string]string{"386": "i386", "arm64": "aarch64"}

// checkCrossBuild compares what the exporter of an architecture reports of a process with
// /proc.
func checkCrossBuild(arch, cache string) error {
	dir, err := filepath.Abs(filepath.Join(cache, "run"))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "exporter-"+arch)
	if err := errors.Join(os.MkdirAll(dir, 0o755), build(path, arch, ".")); err != nil {
		return err
	}
	const name = "kernels-cross"
	link := filepath.Join(dir, name)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return err
	}
	if err := os.Symlink(sleep, link); err != nil && !os.IsExist(err) {
		return err
	}
	target := exec.Command(link, "600")
	if err := target.Start(); err != nil {
		return err
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	emulator := "qemu-" + arch
	if name, ok := qemuArchs[arch]; ok {
		emulator = "qemu-" + name
	}
	for range 10 { // until the program has started
		if err = compareProcess(target.Process.Pid, name, emulator, path); err == nil {
			return nil
		}
	}
	return err
}

// compareProcess compares the output of the exporter with /proc.
func compareProcess(pid int, group, emulator, exporter string) error {
	cmd := exec.Command(emulator, exporter, "--procnames="+group, "--once-to-stdout-delay=100ms")
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1") // its signals end programs under qemu-i386
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return err
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	for series, want := range map[string]float64{
		`num_procs{groupname="` + group + `"}`:                      1,
		`num_threads{groupname="` + group + `"}`:                    1,
		`memory_bytes{groupname="` + group + `",memtype="virtual"}`: pages * float64(os.Getpagesize()),
	} {
		_, value, _ := bytes.Cut(out, []byte("\nnamedprocess_namegroup_"+series+" "))
		value, _, _ = bytes.Cut(value, []byte("\n"))
		if got, err := strconv.ParseFloat(string(value), 64); err != nil || got != want {
			return fmt.Errorf("%s: got %q, want %v", series, value, want)
		}
	}
	return nil
}
