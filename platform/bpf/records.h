/* The records that the programs send to user space. bpf2go generates the Go types from
 * them. Times are in nanoseconds, memory is in pages. */

#ifndef RECORDS_H
#define RECORDS_H

/* Kinds of records. */
enum { KIND_PROCESS = 1, KIND_THREAD, KIND_EXIT, KIND_EXEC, KIND_REAPED };

/* Flags of a record: the counters that this kernel has. EVENT_LOST, in a reaped_record,
 * means that the identity record of the process was dropped. */
enum { HAS_IO = 1, HAS_RUN_DELAY = 2, HAS_BLOCK_DELAY = 4, EVENT_LOST = 8 };

struct usage {
	u64 utime, stime;           /* sampled at clock ticks; only their ratio is used */
	u64 runtime;                /* exact; /proc scales utime and stime to this sum */
	u64 prev_utime, prev_stime; /* last values shown in /proc, which never decrease */
	u64 minor_faults, major_faults;
	u64 voluntary, nonvoluntary; /* context switches */
	u64 read_bytes, write_bytes;
	u64 run_delay, block_delay; /* time waiting for a CPU and for block devices */
};

/* A process. Its usage is that of the leader and of the exited threads; its I/O includes reaped children. */
struct process_record {
	u32 kind, flags;
	s32 pid, ppid; /* in the PID namespace of the loader */
	u32 tgid;      /* in the initial PID namespace */
	u32 state, exit_state, task_flags;
	u32 uid; /* effective */
	u32 threads, fds;
	u32 has_mm;
	char comm[16];
	u64 start; /* since boot */
	u64 exec_id, cgroup;
	u64 virt;
	s64 rss[4]; /* by MM_FILEPAGES and so on; a counter may be negative */
	u64 fd_limit;
	u64 exited_runtime; /* runtime of the exited threads: changes with each exit */
	struct usage usage;
};

/* A thread, including the leader, of a process with at least two threads. */
struct thread_record {
	u32 kind, flags;
	s32 tid, pid; /* in the PID namespace of the loader */
	u32 state, exit_state;
	char comm[16];
	u64 start;
	u64 exited_runtime; /* of its process, when the thread was read */
	struct usage usage;
};

/* Maximum size of a command line in an identity_record, in bytes. */
#define ARGS_MAX 2048

/* The identity of a process after execve (KIND_EXEC) or when its last thread exits
 * (KIND_EXIT). */
struct identity_record {
	u32 kind, args_len;
	s32 pid, ppid;
	u32 tgid, uid;
	char comm[16];
	u64 start, exec_id, cgroup;
	/* KIND_EXIT only. User space uses these if no reaped_record follows. */
	u32 flags, exit_code, oom_killed, pad;
	u64 peak_rss;
	u64 exit_time; /* since boot */
	struct usage usage;
	char args[ARGS_MAX];
};

/* A reaped process with its final counters. */
struct reaped_record {
	u32 kind, flags;
	u32 tgid, exit_code, oom_killed, pad;
	u64 start, exec_id, peak_rss;
	struct usage usage;
};

#endif
