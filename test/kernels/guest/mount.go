//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// setUp mounts what the exporter needs and starts the loopback interface. The hierarchy of
// control groups is the hybrid one of systemd: a named hierarchy of version 1, and the
// controllers in version 2.
func setUp() error {
	mounts := []struct{ source, target, kind, options string }{
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"devtmpfs", "/dev", "devtmpfs", ""},
		{"securityfs", "/sys/kernel/security", "securityfs", ""},
		{"tmpfs", "/tmp", "tmpfs", ""},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", ""},
		{"cgroup2", "/sys/fs/cgroup/unified", "cgroup2", ""},
		{"cgroup", "/sys/fs/cgroup/systemd", "cgroup", "none,name=systemd"},
		{"proc", "/hidepid", "proc", "hidepid=2"},
	}
	var errs []error
	for _, m := range mounts {
		_ = os.MkdirAll(m.target, 0o755) // exists in sysfs
		if err := unix.Mount(m.source, m.target, m.kind, 0, m.options); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.target, err))
		}
	}
	return errors.Join(append(errs, startLoopback())...)
}

func startLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
