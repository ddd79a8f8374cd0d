package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A machine is one column of the table.
type machine struct {
	kernel
	cpus   int
	memory int // MiB
}

// emulators are the commands of QEMU by architecture. The features that are off are slow
// under emulation, or stop old kernels.
var emulators = map[string][]string{
	"amd64": {"qemu-system-x86_64", "-machine", "q35", "-cpu", "max,la57=off"},
	"arm64": {"qemu-system-aarch64", "-machine", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on,sve=off,sme=off"},
}

// consoles are the kernel parameters of the serial console.
var consoles = map[string]string{"amd64": "console=ttyS0 no_timer_check", "arm64": "console=ttyAMA0"}

// A result is the outcome of the checks of one machine, by name and in order.
type result struct {
	checks []string
	status map[string]string
}

var checkLine = regexp.MustCompile(`(?m)^CHECK ([^:\r\n]+): ([^\r\n]+)`)

// failures returns the checks that failed, and err if there is one.
func (r *result) failures(err error) (list []string) {
	for _, name := range r.checks {
		if status := r.status[name]; strings.HasPrefix(status, "FAILED") {
			list = append(list, name+": "+status)
		}
	}
	if err != nil {
		list = append(list, err.Error())
	}
	return list
}

// boot boots the machine and returns the results of its checks. It writes the console to a
// file in dir. parameters are those of the kernel; it passes unknown ones to the guest program
// as environment variables.
func (m machine) boot(ctx context.Context, image, dir, parameters string) (*result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	initramfs, err := buildInitramfs(m.arch, dir)
	if err != nil {
		return &result{}, err
	}
	name := filepath.Join(dir, m.String())
	disk := name + ".img"
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 64<<20)); err != nil {
		return &result{}, err
	}
	defer func() { _ = os.Remove(disk) }()
	args := append(emulators[m.arch][1:len(emulators[m.arch]):len(emulators[m.arch])], m.threads()...)
	args = append(args,
		"-smp", strconv.Itoa(m.cpus), "-m", strconv.Itoa(m.memory), "-nographic", "-no-reboot", "-nic", "none",
		"-kernel", image, "-initrd", initramfs, "-append", consoles[m.arch]+" panic=-1 oops=panic loglevel=4 "+parameters,
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "nvme,drive=disk,serial=disk")
	r, err := runChecks(exec.CommandContext(ctx, emulators[m.arch][0], args...), name+".log")
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("stopped after %v: %w", timeLimit, err)
	}
	return r, err
}

// runChecks runs an emulator, with its console in a file, and returns the results of the
// checks. The error of a machine that stops before the last check has the end of the console.
func runChecks(emulator *exec.Cmd, consoleFile string) (*result, error) {
	r := &result{status: make(map[string]string)}
	console, err := os.Create(consoleFile)
	if err != nil {
		return r, err
	}
	defer console.Close()
	emulator.Stdout, emulator.Stderr = console, console
	runErr := emulator.Run()
	text, err := os.ReadFile(consoleFile)
	if err != nil {
		return r, err
	}
	for _, match := range checkLine.FindAllSubmatch(text, -1) {
		r.checks = append(r.checks, string(match[1]))
		r.status[string(match[1])] = string(match[2])
	}
	if !bytes.Contains(text, []byte("CHECKS END")) {
		const shown = 2000 // bytes
		return r, fmt.Errorf("the machine did not run the last check (%v); end of %s:\n%s",
			runErr, consoleFile, text[max(0, len(text)-shown):])
	}
	return r, nil
}

// threads returns the option of QEMU for the threads of the emulator. With a thread per CPU
// and many more CPUs than this machine has, the guest waits for minutes for CPUs that do not
// run while they hold a lock.
func (m machine) threads() []string {
	if m.cpus > 2 {
		return []string{"-accel", "tcg,thread=single"}
	}
	return []string{"-accel", "tcg"}
}

func (m machine) String() string { return fmt.Sprintf("%s-%s-%dcpu", m.version, m.arch, m.cpus) }

// buildInitramfs builds the exporter and the guest program, and returns an archive with
// both.
func buildInitramfs(arch, dir string) (string, error) {
	var archive bytes.Buffer
	inode := 0
	add := func(name string, mode int, content []byte) {
		inode++
		fmt.Fprintf(&archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
		pad := func() { archive.Write(make([]byte, -archive.Len()&3)) }
		pad()
		archive.Write(content)
		pad()
	}
	for _, program := range []struct{ name, source string }{{"init", "./test/kernels/guest"}, {"exporter", "."}} {
		path := filepath.Join(dir, program.name+"-"+arch)
		if err := build(path, arch, program.source); err != nil {
			return "", err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		add(program.name, 0o100755, content)
	}
	for _, directory := range []string{"proc", "sys", "dev", "tmp", "hidepid"} {
		add(directory, 0o040755, nil)
	}
	add("TRAILER!!!", 0, nil)
	path := filepath.Join(dir, "initramfs-"+arch)
	return path, os.WriteFile(path, archive.Bytes(), 0o600)
}

// build builds a static program of this module.
func build(path, arch, source string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, source)
	cmd.Dir = string(bytes.TrimSpace(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", source, arch, err, out)
	}
	return nil
}

// timeLimit is the time after which a machine is stopped.
const timeLimit = 15 * time.Minute
