//go:build linux

// Command edgecase puts itself into a state that is difficult to read, prints "ready", and runs until
// its standard input ends. Its arguments are verbs that it executes in order, such as "name=a b" or
// "threads=100":
//
//	name=NAME, title=ARGUMENTS, environ=TEXT     overwrites its name, arguments or environment
//	threads=N, threadname=NAME, exitmain         starts threads; ends the main thread
//	reexec=ARGUMENT, noargs, newtime=SECONDS     executes itself again
//	owners=UID,UID,UID, chroot=DIR, chdir=DIR    sets user IDs, root and working directory
//	rmdir                                        removes its working directory
//	scheduled=POLICY,PRIORITY                    sets its scheduling policy
//	busy, spin                                   uses CPU time for a moment, or forever
//	read=BYTES, write=FILE, map=KIND,SIZE        does I/O; maps memory
//	listen=ADDRESS, unix=PATH                    opens a socket
//	hugeargs=SIZE,LETTERS                        has huge arguments
//	unresponsive=KIND,N,PATH, fuse=KIND,PATH     has children of which reads block
//	hold=KIND, waiter=KIND                       is such a child
//	nest=DEPTH                                   starts a chain of children
//	await                                        prints "ready" and waits for one byte of standard input
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// init keeps main on the main thread. Many /proc files of a process show only that thread.
func init() { runtime.LockOSThread() }

func main() {
	// setTitle overwrites os.Args.
	var words []string
	for _, arg := range os.Args[min(1, len(os.Args)):] {
		words = append(words, strings.Clone(arg))
	}
	for _, word := range words {
		verb, value, _ := strings.Cut(word, "=")
		if do, ok := verbs()[verb]; ok {
			if err := do(value); err != nil {
				fmt.Println(word, err)
				os.Exit(1)
			}
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

func verbs() map[string]func(value string) error {
	return map[string]func(string) error{
		"name":         setName,
		"title":        setTitle,
		"threads":      startThreads,
		"threadname":   startNamedThread,
		"exitmain":     exitMainThread,
		"chdir":        os.Chdir,
		"rmdir":        func(string) error { dir, err := os.Getwd(); return either(err, func() error { return os.Remove(dir) }) },
		"owners":       setOwners,
		"listen":       listen,
		"chroot":       syscall.Chroot,
		"busy":         beBusy,
		"write":        writeFile,
		"reexec":       reexec,
		"noargs":       execNothing,
		"newtime":      execLater,
		"scheduled":    beScheduled,
		"map":          mapMemory,
		"await":        await,
		"spin":         spin,
		"nest":         nest,
		"environ":      setEnviron,
		"read":         readZeros,
		"unix":         listenUnix,
		"fuse":         serveFuse,
		"hold":         holdFuse,
		"hugeargs":     hugeArgs,
		"unresponsive": startUnresponsive,
		"waiter":       runWaiter,
	}
}

func either(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func setName(name string) error {
	bytes := append([]byte(name), 0)
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&bytes[0])), 0, 0, 0)
}

// setTitle overwrites all arguments, including the NUL bytes between them.
func setTitle(title string) error {
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := uintptr(unsafe.Pointer(unsafe.StringData(first)))
	end := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last)) + 1
	room := unsafe.Slice(unsafe.StringData(first), end-start)
	clear(room)
	copy(room[:len(room)-1], title)
	return nil
}

func startThreads(n string) error {
	count, err := strconv.Atoi(n)
	for range count {
		go holdThread("")
	}
	return err
}

func startNamedThread(name string) error {
	go holdThread(name)
	return nil
}

// holdThread keeps a thread busy for a moment and then asleep.
func holdThread(name string) {
	runtime.LockOSThread()
	if name != "" {
		if setName(name) != nil {
			return
		}
		_ = beBusy("")
	}
	var fds [2]int
	if syscall.Pipe(fds[:]) == nil {
		_, _ = syscall.Read(fds[0], make([]byte, 1)) // blocks the thread; a channel would not
	}
}

// exitMainThread ends the main thread. The other threads continue.
func exitMainThread(string) error {
	go func() {
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
	return nil
}

// setOwners sets the real, effective and saved user IDs, and the group IDs to the same numbers plus
// one.
func setOwners(list string) error {
	var ids [3]int
	if _, err := fmt.Sscanf(list, "%d,%d,%d", &ids[0], &ids[1], &ids[2]); err != nil {
		return err
	}
	return either(syscall.Setresgid(ids[0]+1, ids[1]+1, ids[2]+1), func() error {
		return syscall.Setresuid(ids[0], ids[1], ids[2])
	})
}

var listeners []net.Listener // keeps them reachable

func listen(address string) error {
	l, err := net.Listen("tcp4", address)
	listeners = append(listeners, l)
	return err
}

// beBusy uses 0.2 seconds of CPU time on this thread.
func beBusy(string) error {
	var usage syscall.Rusage
	for usage.Utime.Nano()+usage.Stime.Nano() < 200e6 {
		const rusageThread = 1
		if err := syscall.Getrusage(rusageThread, &usage); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }

// reexec executes this program from a memfd.
func reexec(args string) error {
	fd, err := unix.MemfdCreate("edgecase", 0)
	if err != nil {
		return err
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if _, err := syscall.Write(fd, program); err != nil {
		return err
	}
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), []string{"edgecase", args}, os.Environ())
}
