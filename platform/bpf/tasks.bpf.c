//go:build ignore

// BPF programs: a task iterator that reports all live tasks, and tracepoint
// programs that report process exits. They copy kernel counters and apply no
// policy. SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "kernel.h"
#include "pid.h"
#include "records.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Number of possible CPUs if the kernel has a part of each RSS counter per CPU, else 0.
 * The loader sets it. */
const volatile u32 cpus = 0;

/* Tests set it to read each RSS counter by itself, as before Linux 6.6. */
const volatile bool separate_counters = 0;

/* Identity records dropped because the ring buffer was full. User space reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY);
	__type(key, u32);
	__type(value, u64);
} lost_events SEC(".maps");

#define RING_SIZE (2 << 20)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_SIZE);
} events SEC(".maps");

/* State of a process until it is reaped: the delays of its exited threads, which
 * the kernel does not accumulate, and whether its identity record was dropped. */
struct exited_threads {
	u64 run_delay, block_delay;
	u64 event_lost;
};

/* The start time distinguishes processes that had the same PID. */
struct process_key {
	u64 start;
	u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_WRONLY);
	__type(key, struct process_key);
	__type(value, struct exited_threads);
} exited_threads SEC(".maps");

/* Linux 7 can preempt a tracepoint program, and does not run the same program on this CPU
 * until it ends. So several programs handle exits: each handles the exits that the programs
 * before it have missed. */
#define EXIT_PROGRAMS 3

/* Start times of the last threads that an exit program has handled, by TID. If an entry is
 * overwritten, two programs report the same exit, which user space accepts. */
#define HANDLED 4096
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HANDLED);
	__type(key, u32);
	__type(value, u64);
} handled_exits SEC(".maps");

/* Buffers for records that do not fit on the BPF stack of 512 bytes. Each program that can
 * be preempted by another one has its own identity_buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EXIT_PROGRAMS);
	__type(key, u32);
	__type(value, struct identity_record);
} identity_buffer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process_record);
} process_buffer SEC(".maps");

/* The offset that each CPU adds to a per-CPU address. The first run of the task iterator
 * sets it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* the loader sets it to cpus */
	__type(key, u32);
	__type(value, u64);
} cpu_offsets SEC(".maps");

#include "task.h"
#include "memory.h"

static __always_inline void emit_process(struct seq_file *seq, struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	struct task_struct *live;
	struct process_record *r;
	u32 zero = 0;

	r = bpf_map_lookup_elem(&process_buffer, &zero);
	if (!r)
		return;
	__builtin_memset(r, 0, sizeof(*r));
	r->kind = KIND_PROCESS;
	r->pid = pid_of(task);
	if (!r->pid)
		return;
	r->tgid = task->tgid;
	r->ppid = pid_of(task->real_parent);
	r->flags = usage_flags(task);
	r->state = state_of(task);
	r->task_flags = task->flags;
	r->uid = task->real_cred->euid.val;
	r->threads = sig->nr_threads;
	__builtin_memcpy(r->comm, task->comm, sizeof(r->comm));
	r->start = task->start_boottime;
	r->exec_id = task->self_exec_id;
	r->cgroup = task->cgroups->dfl_cgrp->kn->id;
	r->fd_limit = sig->rlim[RLIMIT_NOFILE].rlim_cur;
	read_thread_usage(&r->usage, task);
	add_exited_usage(&r->usage, task);
	/* While a thread is being reaped, the kernel has added its counters to the
	 * signal_struct but the task still holds them. Reads after the counters detect
	 * this: exited_runtime changes for a thread, exit_state for the leader, which is
	 * reaped last. */
	barrier();
	r->exited_runtime = sig->sum_sched_runtime;
	r->exit_state = task->exit_state;
	if (r->exited_runtime)
		add_exited_delays(&r->usage, task);
	live = live_thread(task);
	read_memory(r, live);
	if (!(r->task_flags & PF_KTHREAD))
		r->fds = count_fds(live);
	bpf_seq_write(seq, r, sizeof(*r));
}

static __always_inline void emit_thread(struct seq_file *seq, struct task_struct *task)
{
	struct thread_record r = { .kind = KIND_THREAD };

	r.pid = pid_of(task);
	if (!r.pid)
		return;
	r.tid = own_level == 0 ? task->pid : pid_in_own_ns(task->thread_pid);
	r.flags = usage_flags(task);
	r.state = state_of(task);
	r.exit_state = task->exit_state;
	__builtin_memcpy(r.comm, task->comm, sizeof(r.comm));
	r.start = task->start_boottime;
	r.exited_runtime = task->signal->sum_sched_runtime;
	read_thread_usage(&r.usage, task);
	if (task->flags & PF_EXITING) /* exited_threads has its delays, unless it is the leader */
		r.usage.run_delay = r.usage.block_delay = 0;
	r.usage.prev_utime = task->prev_cputime.utime;
	r.usage.prev_stime = task->prev_cputime.stime;
	bpf_seq_write(seq, &r, sizeof(r));
}

SEC("iter/task")
int iterate_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	if (ctx->meta->seq_num == 0)
		find_cpu_offsets();
	if (task->pid == task->tgid)
		emit_process(ctx->meta->seq, task);
	if (task->signal->nr_threads > 1)
		emit_thread(ctx->meta->seq, task);
	return 0;
}

/* send returns whether the record fits in the ring buffer. It wakes user space only
 * when the buffer is half full. */
static __always_inline bool send(void *record, u64 size)
{
	u64 flags = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > RING_SIZE / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	return bpf_ringbuf_output(&events, record, size, flags) == 0;
}

/* exited_threads_of returns the state of a process, which it creates if needed, or
 * NULL if the map is full. */
static __always_inline struct exited_threads *exited_threads_of(struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	struct exited_threads *state, none = {};

	state = bpf_map_lookup_elem(&exited_threads, &key);
	if (state)
		return state;
	bpf_map_update_elem(&exited_threads, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&exited_threads, &key);
}

/* save_delays saves the delays of a thread that exits before its process. */
static __always_inline void save_delays(struct task_struct *task)
{
	struct exited_threads *state = exited_threads_of(task->group_leader);

	if (!state)
		return;
	__sync_fetch_and_add(&state->run_delay, run_delay_of(task));
	__sync_fetch_and_add(&state->block_delay, block_delay_of(task));
}

/* count_lost_event counts a process whose identity record was dropped, once. The flag
 * makes user space skip the exit when the process is reaped. */
static __always_inline void count_lost_event(struct task_struct *leader)
{
	struct exited_threads *state = exited_threads_of(leader);

	if (state && state->event_lost)
		return;
	if (state)
		state->event_lost = 1;
	count(&lost_events);
}

static __always_inline u32 exit_code_of(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;

	return sig->flags & SIGNAL_GROUP_EXIT ? sig->group_exit_code : leader->exit_code;
}

/* emit_identity sends the identity record of the process of task. buffer is the index of
 * the identity_buffer. */
static __always_inline void emit_identity(u32 kind, struct task_struct *task, u32 buffer)
{
	struct task_struct *leader = task->group_leader;
	struct mm_struct *mm = task->mm;
	struct identity_record *r;
	u64 len;

	r = bpf_map_lookup_elem(&identity_buffer, &buffer);
	if (!r)
		return;
	r->pid = pid_of(task);
	if (!r->pid)
		return;
	r->kind = kind;
	r->args_len = 0;
	r->ppid = pid_of(leader->real_parent);
	r->tgid = task->tgid;
	r->uid = leader->real_cred->euid.val;
	__builtin_memcpy(r->comm, leader->comm, sizeof(r->comm));
	r->start = leader->start_boottime;
	r->exec_id = leader->self_exec_id;
	r->cgroup = leader->cgroups->dfl_cgrp->kn->id;
	if (mm) {
		len = mm->arg_end - mm->arg_start;
		if (len > ARGS_MAX)
			len = ARGS_MAX;
		if (!bpf_probe_read_user(r->args, len, (void *)mm->arg_start))
			r->args_len = len;
	}
	if (kind == KIND_EXIT) {
		r->flags = usage_flags(task);
		r->exit_code = exit_code_of(leader);
		r->oom_killed = task->signal->oom_mm != 0;
		r->peak_rss = task->signal->maxrss;
		r->exit_time = bpf_ktime_get_boot_ns();
		read_thread_usage(&r->usage, task);
		add_exited_usage(&r->usage, task);
	}
	len = r->args_len;
	if (len > ARGS_MAX)
		len = ARGS_MAX;
	if (!send(r, __builtin_offsetof(struct identity_record, args) + len))
		count_lost_event(leader);
}

static __always_inline int thread_exit(struct task_struct *task, bool last, u32 buffer)
{
	if (task->flags & PF_KTHREAD)
		return 0;
	if (task->pid != task->tgid)
		save_delays(task);
	if (last)
		emit_identity(KIND_EXIT, task, buffer);
	return 0;
}

/* is_handled returns whether another program has handled the exit of task, and otherwise
 * records that this one does. */
static __always_inline bool is_handled(struct task_struct *task)
{
	u32 key = task->pid & (HANDLED - 1);
	u64 *start = bpf_map_lookup_elem(&handled_exits, &key);

	if (!start)
		return 0;
	if (*start == task->start_boottime)
		return 1;
	*start = task->start_boottime;
	return 0;
}

/* Since Linux 6.16 the tracepoint has the argument group_dead, and fires before the
 * thread releases its mm. n is less than EXIT_PROGRAMS. */
#define EXIT_PROGRAM(name, n)                                             \
	SEC("tp_btf/sched_process_exit")                                  \
	int BPF_PROG(name, struct task_struct *task, bool group_dead)     \
	{                                                                 \
		return is_handled(task) ? 0 : thread_exit(task, group_dead, n); \
	}

EXIT_PROGRAM(thread_exits, 0)
EXIT_PROGRAM(thread_exits_missed, 1)
EXIT_PROGRAM(thread_exits_missed_twice, 2)

/* Before Linux 6.16, two threads that exit at the same time may both appear to be the
 * last, and the mm is already released: process_execs saves the command line. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits_6_15, struct task_struct *task)
{
	return thread_exit(task, task->signal->live.counter == 0, 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs, struct task_struct *task)
{
	emit_identity(KIND_EXEC, task, 1);
	return 0;
}

/* The tracepoint fires when the last reference to a reaped task is dropped. The
 * signal_struct then has the counters of all threads of the process. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(process_freed, struct task_struct *task)
{
	struct reaped_record r = { .kind = KIND_REAPED };
	struct signal_struct *sig = task->signal;
	struct process_key key = key_of(task);

	if (task->pid != task->tgid || task->flags & PF_KTHREAD)
		return 0;
	r.tgid = task->tgid;
	r.flags = usage_flags(task);
	r.exit_code = exit_code_of(task);
	r.oom_killed = sig->oom_mm != 0;
	r.start = task->start_boottime;
	r.exec_id = task->self_exec_id;
	r.peak_rss = sig->maxrss;
	add_exited_usage(&r.usage, task);
	r.usage.run_delay = run_delay_of(task);
	r.usage.block_delay = block_delay_of(task);
	if (add_exited_delays(&r.usage, task))
		r.flags |= EVENT_LOST;
	bpf_map_delete_elem(&exited_threads, &key);
	send(&r, sizeof(r)); /* if dropped, user space uses the record of KIND_EXIT */
	return 0;
}

/* References that keep the record types in BTF, from which bpf2go generates Go types. */
const struct thread_record *const thread_record_type __attribute__((unused));
const struct reaped_record *const free_record_type __attribute__((unused));
