package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A kernel is the cloud kernel of a suite of Debian, which needs no module to boot.
type kernel struct {
	version string
	arch    string // as Debian and Go name it
	suite   string
	archive string // directory on the mirror
}

// image returns the path of the kernel in the cache. It downloads a kernel that the cache
// lacks.
func (k kernel) image(cache string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(cache, k.version+"-"+k.arch))
	if err != nil {
		return "", err
	}
	image := filepath.Join(dir, "vmlinuz")
	if _, err := os.Stat(image); err == nil {
		return image, nil
	}
	apt := filepath.Join(dir, "apt")
	defer func() { _ = os.RemoveAll(apt) }()
	if err := k.download(apt); err != nil {
		return "", fmt.Errorf("download Linux %s: %w", k.version, err)
	}
	old, _ := filepath.Glob(filepath.Join(apt, "root/boot/vmlinuz-*"))
	found, _ := filepath.Glob(filepath.Join(apt, "root/usr/lib/modules/*/vmlinuz")) // since Linux 7.2
	if found = append(found, old...); len(found) != 1 {
		return "", fmt.Errorf("got kernels %q in the package of Linux %s, want one", found, k.version)
	}
	return image, os.Rename(found[0], image)
}

// download unpacks the package of the kernel to dir/root. It uses separate package lists,
// so that the packages of this machine do not change.
func (k kernel) download(dir string) error {
	source := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s/%s %s main\n", mirror(), k.archive, k.suite)
	if err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "lists/partial"), 0o755), os.MkdirAll(filepath.Join(dir, "archives/partial"), 0o755),
		os.WriteFile(filepath.Join(dir, "sources"), []byte(source), 0o600), os.WriteFile(filepath.Join(dir, "status"), nil, 0o600),
	); err != nil {
		return err
	}
	run := func(program string, args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
		return string(out), err
	}
	options := []string{
		"-q", "-o", "Dir::Etc::sourcelist=" + dir + "/sources", "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::State::lists=" + dir + "/lists",
		"-o", "Dir::State::status=" + dir + "/status", "-o", "Dir::Cache=" + dir, "-o", "APT::Architectures=" + k.arch,
		"-o", "APT::Architecture=" + k.arch, "-o", "APT::Sandbox::User=root", "-o", "Acquire::Check-Valid-Until=false",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
	}
	if _, err := run("apt-get", append(options, "update")...); err != nil {
		return err
	}
	newest, err := run("apt-cache", append(options, "show", "linux-image-cloud-"+k.arch)...)
	if err != nil {
		return err
	}
	name := regexp.MustCompile(`linux-image-\d[^ ,]*`).FindString(newest)
	if _, err := run("apt-get", append(options, "download", name)...); err != nil {
		return err
	}
	// Since Linux 7.2 the kernel is in another package.
	_, _ = run("apt-get", append(options, "download", strings.Replace(name, "image", "binary", 1))...)
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, p := range packages {
		if _, failed := run("dpkg-deb", "-x", p, "root"); failed != nil {
			return failed
		}
	}
	return err
}

// mirror returns the host of the first package source of this machine.
func mirror() string {
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		text, _ := os.ReadFile(file)
		m := regexp.MustCompile(`(?m)^(?:URIs:|deb(?: \[.*\])?) *(https?://[^/\s]+)`).FindSubmatch(text)
		if m != nil {
			return string(m[1])
		}
	}
	return "http://deb.debian.org"
}
