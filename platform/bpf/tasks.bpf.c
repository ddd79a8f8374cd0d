//go:build ignore

// BPF programs: a task iterator that reports all live tasks, and tracepoint
// programs that report process exits. They copy kernel counters and apply no
// policy. SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "kernel.h"
#include "records.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Inode number of the PID namespace of the loader, which sets it. */
const volatile u32 own_ns = 0;

/* Nesting level of that namespace. Only the kernel knows it: the first run of the
 * task iterator sets it. Until then no process is in the namespace. */
u32 own_level = 0xffffffff;

/* Identity records dropped because the ring buffer was full. User space reads it. */
u64 lost_events = 0;

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
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct process_key);
	__type(value, struct exited_threads);
} exited_threads SEC(".maps");

/* Buffers for records that do not fit on the BPF stack of 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct identity_record);
} identity_buffer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process_record);
} process_buffer SEC(".maps");

/* pid_in_own_ns returns the PID in the namespace of the loader, or 0 if the process is
 * not visible there. */
static __always_inline s32 pid_in_own_ns(struct pid *p)
{
	struct upid id = {};

	if (!p || BPF_CORE_READ(p, level) < own_level)
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id), (void *)p + bpf_core_field_offset(struct pid, numbers) + own_level * sizeof(id));
	return BPF_CORE_READ(id.ns, ns.inum) == own_ns ? id.nr : 0;
}

static __always_inline s32 pid_of(struct task_struct *task)
{
	return own_level == 0 ? task->tgid : pid_in_own_ns(task->signal->pids[PIDTYPE_TGID]);
}

static __always_inline u32 state_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return BPF_CORE_READ((struct task_struct___5_13 *)task, state);
}

static __always_inline u64 run_delay_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->sched_info.run_delay) ? task->sched_info.run_delay : 0;
}

static __always_inline u64 block_delay_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->delays) ? task->delays->blkio_delay : 0;
}

/* usage_flags returns the flags of the counters that this kernel has for a task. */
static __always_inline u32 usage_flags(struct task_struct *task)
{
	u32 flags = 0;

	if (bpf_core_field_exists(task->ioac.read_bytes))
		flags |= HAS_IO;
	if (bpf_core_field_exists(task->sched_info.run_delay))
		flags |= HAS_RUN_DELAY;
	if (bpf_core_field_exists(task->delays) && task->delays)
		flags |= HAS_BLOCK_DELAY;
	return flags;
}

/* read_thread_usage reads the counters of one thread. */
static __always_inline void read_thread_usage(struct usage *u, struct task_struct *t)
{
	u->utime = t->utime;
	u->stime = t->stime;
	u->runtime = t->se.sum_exec_runtime;
	u->minor_faults = t->min_flt;
	u->major_faults = t->maj_flt;
	u->voluntary = t->nvcsw;
	u->nonvoluntary = t->nivcsw;
	if (bpf_core_field_exists(t->ioac.read_bytes)) {
		u->read_bytes = t->ioac.read_bytes;
		u->write_bytes = t->ioac.write_bytes;
	} else {
		u->read_bytes = u->write_bytes = 0;
	}
	u->run_delay = run_delay_of(t);
	u->block_delay = block_delay_of(t);
}

/* add_exited_usage adds the counters of the exited threads of a process, which the
 * kernel accumulates in its signal_struct. */
static __always_inline void add_exited_usage(struct usage *u, struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;

	u->utime += sig->utime;
	u->stime += sig->stime;
	u->prev_utime = sig->prev_cputime.utime;
	u->prev_stime = sig->prev_cputime.stime;
	u->runtime += sig->sum_sched_runtime;
	u->minor_faults += sig->min_flt;
	u->major_faults += sig->maj_flt;
	u->voluntary += sig->nvcsw;
	u->nonvoluntary += sig->nivcsw;
	if (bpf_core_field_exists(sig->ioac.read_bytes)) {
		u->read_bytes += sig->ioac.read_bytes;
		u->write_bytes += sig->ioac.write_bytes;
	}
}

static __always_inline struct process_key key_of(struct task_struct *leader)
{
	struct process_key key = { .start = leader->start_boottime, .tgid = leader->tgid };

	return key;
}

/* add_exited_delays adds the delays of the exited threads of a process. It returns
 * whether the identity record of the process was dropped. */
static __always_inline bool add_exited_delays(struct usage *u, struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	struct exited_threads *state = bpf_map_lookup_elem(&exited_threads, &key);

	if (!state)
		return 0;
	u->run_delay += state->run_delay;
	u->block_delay += state->block_delay;
	return state->event_lost != 0;
}

/* An iteration over the threads of a process up to the first that has an mm. */
struct thread_search {
	struct list_head *head, *next;
	struct task_struct *found;
};

static long check_thread(u32 i, struct thread_search *s)
{
	struct list_head *node = s->next;
	struct task_struct *t;

	if (!node || node == s->head)
		return 1;
	t = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
	if (BPF_CORE_READ(t, mm)) {
		s->found = t;
		return 1;
	}
	s->next = BPF_CORE_READ(node, next);
	return 0;
}

/* live_thread returns a thread that has the memory and the files of its process:
 * the leader, or another thread if the leader has exited before it. */
static __always_inline struct task_struct *live_thread(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;
	struct thread_search s = {};

	if (leader->mm || sig->nr_threads < 2)
		return leader;
	s.head = (void *)sig + bpf_core_field_offset(struct signal_struct, thread_head);
	s.next = sig->thread_head.next;
	bpf_loop(1 << 22, check_thread, &s, 0);
	return s.found ? s.found : leader;
}

#define BLOCK 8 /* 64-bit words of the bitmap per read */

struct bitmap {
	unsigned long *words;
	u32 left, ones;
};

static long count_block(u32 i, struct bitmap *b)
{
	u64 words[BLOCK] = {};
	u32 n = b->left < BLOCK ? b->left : BLOCK;

	if (n == 0 || bpf_probe_read_kernel(words, n * sizeof(u64), b->words))
		return 1;
	for (int w = 0; w < BLOCK; w++)
		b->ones += __builtin_popcountll(words[w]);
	b->words += n;
	b->left -= n;
	return b->left == 0;
}

/* count_fds returns the number of open file descriptors. The table may be freed
 * during the count: the result is valid only if the task still has it afterwards. */
static __always_inline u32 count_fds(struct task_struct *t)
{
	struct files_struct *files = BPF_CORE_READ(t, files);
	struct fdtable *fdt = BPF_CORE_READ(files, fdt);
	struct bitmap b = {
		.words = BPF_CORE_READ(fdt, open_fds),
		.left = BPF_CORE_READ(fdt, max_fds) / 64,
	};

	if (!files || b.left > 1 << 24)
		return 0;
	if (count_block(0, &b) == 0)
		bpf_loop(1 << 21, count_block, &b, 0);
	return BPF_CORE_READ(t, files) == files ? b.ones : 0;
}

/* pages reads an RSS counter. Its kind must be a constant: for a variable index the
 * compiler uses the size of the counter in kernel.h, not in the running kernel. */
#define pages(mm, kind)                                                                                  \
	({                                                                                               \
		s64 n;                                                                                   \
		if (bpf_core_field_exists(((struct mm_struct___6_1 *)0)->rss_stat.count))                \
			n = BPF_CORE_READ((struct mm_struct___6_1 *)mm, rss_stat.count[kind].counter);   \
		else                                                                                     \
			n = BPF_CORE_READ(mm, rss_stat[kind].count);                                     \
		n > 0 ? (u64)n : 0;                                                                      \
	})

static __always_inline void read_memory(struct process_record *r, struct task_struct *t)
{
	struct mm_struct *mm = BPF_CORE_READ(t, mm);

	if (!mm)
		return;
	r->has_mm = 1;
	r->virt = BPF_CORE_READ(mm, total_vm);
	r->peak_rss = BPF_CORE_READ(mm, hiwater_rss);
	r->rss_file = pages(mm, MM_FILEPAGES);
	r->rss_anon = pages(mm, MM_ANONPAGES);
	r->rss_shmem = pages(mm, MM_SHMEMPAGES);
	r->swap = pages(mm, MM_SWAPENTS);
}

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
	if (task->flags & PF_EXITING) /* its delays are in exited_threads */
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
	if (ctx->meta->seq_num == 0) {
		struct task_struct *self = (void *)bpf_get_current_task();
		own_level = BPF_CORE_READ(self, thread_pid, level);
	}
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
	__sync_fetch_and_add(&lost_events, 1);
}

static __always_inline u32 exit_code_of(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;

	return sig->flags & SIGNAL_GROUP_EXIT ? sig->group_exit_code : leader->exit_code;
}

/* emit_identity sends the identity record of the process of task. */
static __always_inline void emit_identity(u32 kind, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct mm_struct *mm = task->mm;
	struct identity_record *r;
	u32 zero = 0;
	u64 len;

	r = bpf_map_lookup_elem(&identity_buffer, &zero);
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
		read_thread_usage(&r->usage, task);
		add_exited_usage(&r->usage, task);
	}
	len = r->args_len;
	if (len > ARGS_MAX)
		len = ARGS_MAX;
	if (!send(r, __builtin_offsetof(struct identity_record, args) + len))
		count_lost_event(leader);
}

static __always_inline int thread_exit(struct task_struct *task, bool last)
{
	if (task->flags & PF_KTHREAD)
		return 0;
	if (task->pid != task->tgid)
		save_delays(task);
	if (last)
		emit_identity(KIND_EXIT, task);
	return 0;
}

/* Since Linux 6.16 the tracepoint has the argument group_dead, and fires before the
 * thread releases its mm. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits, struct task_struct *task, bool group_dead)
{
	return thread_exit(task, group_dead);
}

/* Before Linux 6.16, two threads that exit at the same time may both appear to be the
 * last, and the mm is already released: process_execs saves the command line. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits_6_15, struct task_struct *task)
{
	return thread_exit(task, task->signal->live.counter == 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs, struct task_struct *task)
{
	emit_identity(KIND_EXEC, task);
	return 0;
}

/* The tracepoint fires when the last reference to a reaped task is dropped. The
 * signal_struct then has the counters of all threads of the process. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(process_freed, struct task_struct *task)
{
	struct free_record r = { .kind = KIND_FREE };
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
const struct thread_record *thread_record_type __attribute__((unused));
const struct free_record *free_record_type __attribute__((unused));
