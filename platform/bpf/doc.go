// Package bpf asks the kernel itself about processes, by programs that run
// inside it.
//
// One program, a task iterator, tells of all threads of the machine at the cost
// of a few microseconds each ten: no files are opened and no numbers are turned
// into text and back. Others tell of every process that ends, however briefly
// it lived, with all that it used.
//
// It takes Linux 5.17 with BTF, and CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)
// while the programs are loaded. The programs are attached as long as the file
// descriptors of a [Programs] are open: nothing of them outlives the process.
//
// The programs are in tasks.bpf.c, what they tell is in records.h. Nothing but
// Go is needed to build this package: the compiled programs come with it.
package bpf

//go:generate go tool bpf2go -go-package bpf -tags linux -target amd64,arm64 -cflags "-O2 -g -Wall -Werror" -type usage -type process_record -type thread_record -type words_record -type free_record tasks tasks.bpf.c
