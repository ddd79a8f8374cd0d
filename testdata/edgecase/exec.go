//go:build linux

package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execNothing executes this program again without any argument, even without argv[0], and with one
// environment variable. Since Linux 5.18 the kernel adds an empty argument.
func execNothing(string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	variable, err := syscall.BytePtrFromString("ONLY=variable")
	if err != nil {
		return err
	}
	arguments, environ := [1]*byte{}, [2]*byte{variable, nil}
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(program)),
		uintptr(unsafe.Pointer(&arguments)), uintptr(unsafe.Pointer(&environ)))
	return errno
}

// execLater executes this program again in a time namespace whose boot time is some seconds earlier.
func execLater(seconds string) error {
	if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/timens_offsets", []byte("boottime "+seconds+" 0\n"), 0); err != nil {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(path, []string{"edgecase"}, os.Environ())
}
