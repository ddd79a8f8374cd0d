// Package bpf reads processes with BPF programs.
//
// A task iterator reports all threads of the machine, at a cost of less than a microsecond
// per thread: no file is opened and no number is formatted or parsed. Tracepoint programs
// report the exit and the final counters of each process, however short it lived.
//
// The package requires Linux 5.10 with BTF, and CAP_BPF and CAP_PERFMON (or
// CAP_SYS_ADMIN) while it loads the programs. The programs stay attached while the file
// descriptors of a [Programs] are open: they end with the process.
//
// The programs do not trust this process after the start, because code of an attacker can run in
// it: they have no variables other than constants, and the loader closes the maps of their state. It
// keeps only exited_threads, from which it deletes entries, and which it cannot read.
//
// tasks.bpf.c and sockets.bpf.c contain the programs, records.h and socket_records.h their records.
// The compiled objects are committed, so that a build needs only Go.
package bpf

//go:generate -command bpf2go go tool bpf2go -go-package bpf -tags linux -target amd64,arm64 -cflags "-O2 -g -Wall -Werror"
//go:generate bpf2go -type usage -type process_record -type thread_record -type identity_record -type reaped_record tasks tasks.bpf.c
//go:generate bpf2go -type socket_counters -type socket_record -type closed_record sockets sockets.bpf.c
//go:generate bpf2go pidnsLevel pidns_level.bpf.c
