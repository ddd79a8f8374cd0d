/* The fields of kernel types that the programs read. Names and types match the kernel,
 * offsets do not: the loader relocates each access to the running kernel (CO-RE). Fields
 * that the kernel lacks are guarded by bpf_core_field_exists. */

#ifndef KERNEL_H
#define KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef _Bool bool;

/* Types that libbpf's bpf_helper_defs.h uses. */
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef s32 __s32;
typedef s64 __s64;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_RDONLY = 8, BPF_F_WRONLY = 16 }; /* the last two restrict user space */
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };

#define PF_EXITING 0x00000004        /* task_struct.flags, linux/sched.h */
#define PF_KTHREAD 0x00200000
#define SIGNAL_GROUP_EXIT 0x00000004 /* signal_struct.flags, linux/sched/signal.h */
#define RLIMIT_NOFILE 7
enum { PIDTYPE_TGID = 1 };
enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES, NR_MM_COUNTERS };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct prev_cputime {
	u64 utime, stime;
};

struct task_io_accounting {
	u64 read_bytes, write_bytes;
};

struct sched_info {
	unsigned long long run_delay; /* nanoseconds */
};

struct task_delay_info {
	u64 blkio_delay; /* nanoseconds */
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct rlimit {
	unsigned long rlim_cur;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic_long_t;

struct mm_struct;

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct list_head thread_head;
	int group_exit_code;
	unsigned int flags;
	struct pid *pids[4];
	u64 utime, stime;
	struct prev_cputime prev_cputime;
	unsigned long nvcsw, nivcsw, min_flt, maj_flt, maxrss;
	struct task_io_accounting ioac;
	unsigned long long sum_sched_runtime;
	struct rlimit rlim[16];
	struct mm_struct *oom_mm;
};

struct percpu_counter {
	s64 count;
	s32 *counters; /* per-CPU address; absent without CONFIG_SMP */
};

struct mm_struct {
	unsigned long total_vm, arg_start, arg_end;
	struct percpu_counter rss_stat[NR_MM_COUNTERS]; /* since Linux 6.2 */
};

struct mm_rss_stat {
	atomic_long_t count[NR_MM_COUNTERS];
};

struct mm_struct___6_1 { /* until Linux 6.1 */
	struct mm_rss_stat rss_stat;
};

struct fdtable {
	unsigned int max_fds;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t euid;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int __state; /* since Linux 5.14 */
	unsigned int flags;
	struct sched_entity se;
	struct sched_info sched_info;
	struct mm_struct *mm;
	int exit_state, exit_code;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	u64 utime, stime;
	struct prev_cputime prev_cputime;
	unsigned long nvcsw, nivcsw;
	u64 start_boottime;
	unsigned long min_flt, maj_flt;
	const struct cred *real_cred;
	char comm[16];
	struct files_struct *files;
	struct signal_struct *signal;
	u64 self_exec_id;
	struct task_io_accounting ioac;
	struct css_set *cgroups;
	struct task_delay_info *delays;
};

struct task_struct___5_13 { /* until Linux 5.13 */
	long state;
};

struct bpf_array { /* a map of the type BPF_MAP_TYPE_PERCPU_ARRAY */
	void *pptrs[1]; /* per-CPU addresses of the values */
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id, seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* count adds 1 to the only value of an array. No program has variables other than constants:
 * user space could change them in its memory. */
static __always_inline void count(void *array)
{
	u32 zero = 0;
	u64 *value = bpf_map_lookup_elem(array, &zero);

	if (value)
		__sync_fetch_and_add(value, 1);
}

/* address_of returns a pointer as a scalar, with which the verifier permits any arithmetic. */
static __always_inline u64 address_of(const void *p)
{
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &p);
	return address;
}

#endif
