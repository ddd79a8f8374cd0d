//go:build linux

// Command shortlived runs many processes that live for 1 to 50 ms, a few at a
// time, and prints the CPU time in nanoseconds that the kernel charged for them:
//
//	shortlived NAME COUNT FILE
//
// Each is a shell whose last argument is shortlived-NAME. A quarter each exit with 0,
// with 3, by SIGTERM and by SIGKILL. One in ten writes 8192 bytes to FILE plus a
// number.
package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// script counts, writes if $2 is set, and exits as $3 says.
const script = `i=0; while [ $i -lt $1 ]; do i=$((i+1)); done
[ -z "$2" ] || printf %8192s x >"$2"
case $3 in 1) exit 3;; 2) kill -TERM $$;; 3) kill -KILL $$;; esac`

const atOnce = 4

func main() {
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	work := make(chan int)
	var wg sync.WaitGroup
	for worker := range atOnce {
		wg.Go(func() {
			file := os.Args[3] + strconv.Itoa(worker)
			for i := range work {
				run(i, file)
			}
		})
	}
	for i := range count {
		work <- i
	}
	close(work)
	wg.Wait()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil {
		panic(err)
	}
	fmt.Println(used.Utime.Nano() + used.Stime.Nano())
}

func run(i int, file string) {
	if i%10 != 0 {
		file = ""
	}
	command := exec.Command("sh", "-c", script, "sh", strconv.Itoa(500+rand.IntN(12_000)), file, strconv.Itoa(i%4), "shortlived-"+os.Args[1])
	var ended *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &ended) {
		panic(err)
	}
}
