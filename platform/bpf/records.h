/* What the programs tell, as it crosses from the kernel. The Go types are made
 * from these. Times are nanoseconds, memory is pages. */

#ifndef RECORDS_H
#define RECORDS_H

/* The kinds of records. */
enum { KIND_PROCESS = 1, KIND_THREAD, KIND_EXIT, KIND_EXEC, KIND_FREE };

/* The flags of a usage: what this kernel counts. And one of a record of KIND_FREE:
 * there was no room for what the process is called. */
enum { HAS_IO = 1, HAS_RUN_DELAY = 2, HAS_BLOCK_DELAY = 4, UNTOLD = 8 };

struct usage {
	u64 utime, stime;           /* by clock ticks: only their ratio counts */
	u64 runtime;                /* exactly; these three make the times that /proc shows */
	u64 prev_utime, prev_stime; /* what /proc showed last, below which it never falls */
	u64 minor_faults, major_faults;
	u64 voluntary, nonvoluntary; /* context switches */
	u64 read_bytes, write_bytes;
	u64 run_delay, block_delay; /* waited for a CPU, for block devices */
};

/* A process, with what its main thread and those that have ended have used. */
struct process_record {
	u32 kind, flags;
	s32 pid, ppid; /* as our PID namespace numbers them */
	u32 tgid;      /* as the machine does */
	u32 state, exit_state, task_flags;
	u32 uid; /* effective */
	u32 threads, fds;
	u32 has_mm;
	char comm[16];
	u64 start; /* since boot */
	u64 exec_id, cgroup;
	u64 rss_file, rss_anon, rss_shmem, swap, virt, peak_rss;
	u64 fd_limit;
	u64 ended; /* runtime of threads that have ended: grows with each that does */
	struct usage usage;
};

/* A thread, also the main one, of a process of at least two. */
struct thread_record {
	u32 kind, flags;
	s32 tid, pid; /* as our PID namespace numbers them */
	u32 state, exit_state;
	char comm[16];
	u64 start;
	u64 ended; /* of its process, when it was looked at */
	struct usage usage;
};

/* How many bytes of a command line are told at most. */
#define ARGS_MAX 2048

/* What a process is called when it has become another program, or when its last
 * thread ends. */
struct words_record {
	u32 kind, args_len;
	s32 pid, ppid;
	u32 tgid, uid;
	char comm[16];
	u64 start, exec_id, cgroup;
	/* Of KIND_EXIT: what a record of KIND_FREE tells better, should it not come. */
	u32 flags, exit_code, oom_killed, pad;
	u64 peak_rss;
	struct usage usage;
	char args[ARGS_MAX];
};

/* A process is gone, and its counters are final. */
struct free_record {
	u32 kind, flags;
	u32 tgid, exit_code, oom_killed, pad;
	u64 start, exec_id, peak_rss;
	struct usage usage;
};

#endif
