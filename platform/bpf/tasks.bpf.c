//go:build ignore

// The programs that run in the kernel: one tells of every task that lives, the
// others of processes that end. They read the kernel's own counters and decide
// nothing. SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "kernel.h"
#include "records.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Which PID namespace we are in, set by the loader. */
const volatile u32 own_ns = 0;

/* How many lie around it, which only the kernel knows. Until the first look
 * sets it, no process is in ours. */
u32 own_level = 0xffffffff;

/* Read by the loader: processes that there was no room to tell the words of. */
u64 lost_events = 0;

#define RING_SIZE (2 << 20)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_SIZE);
} events SEC(".maps");

/* What is kept of a process until it is reaped: the waiting of threads that
 * ended before it, which the kernel adds up nowhere, and whether there was no room
 * for its words. By birth, for a number that is used again means another. */
struct remains {
	u64 run_delay, block_delay;
	u64 untold;
};

struct birth {
	u64 start;
	u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct birth);
	__type(value, struct remains);
} dead_threads SEC(".maps");

/* Room for records that the stack is too small for. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct words_record);
} words_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process_record);
} process_scratch SEC(".maps");

/* in_own_ns returns the number that our PID namespace gives to p, or 0 if the
 * process cannot be seen from there. */
static __always_inline s32 in_own_ns(struct pid *p)
{
	struct upid id = {};

	if (!p || BPF_CORE_READ(p, level) < own_level)
		return 0;
	bpf_probe_read_kernel(&id, sizeof(id), (void *)p + bpf_core_field_offset(struct pid, numbers) + own_level * sizeof(id));
	return BPF_CORE_READ(id.ns, ns.inum) == own_ns ? id.nr : 0;
}

static __always_inline s32 pid_of(struct task_struct *task)
{
	return own_level == 0 ? task->tgid : in_own_ns(task->signal->pids[PIDTYPE_TGID]);
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

/* counts returns the flags for what the kernel counts about a task. */
static __always_inline u32 counts(struct task_struct *task)
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

/* read_task reads what a thread has used itself. */
static __always_inline void read_task(struct usage *u, struct task_struct *t)
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

/* add_dead adds what the threads that have ended left with their process. */
static __always_inline void add_dead(struct usage *u, struct task_struct *leader)
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

static __always_inline struct birth birth_of(struct task_struct *leader)
{
	struct birth b = { .start = leader->start_boottime, .tgid = leader->tgid };

	return b;
}

/* add_dead_waits also returns whether there was no room for the words. */
static __always_inline bool add_dead_waits(struct usage *u, struct task_struct *leader)
{
	struct birth key = birth_of(leader);
	struct remains *kept = bpf_map_lookup_elem(&dead_threads, &key);

	if (!kept)
		return 0;
	u->run_delay += kept->run_delay;
	u->block_delay += kept->block_delay;
	return kept->untold != 0;
}

/* The way along the threads of a process to one that still has memory. */
struct steps {
	struct list_head *head, *next;
	struct task_struct *living;
};

static long step(u32 i, struct steps *s)
{
	struct list_head *node = s->next;
	struct task_struct *t;

	if (!node || node == s->head)
		return 1;
	t = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
	if (BPF_CORE_READ(t, mm)) {
		s->living = t;
		return 1;
	}
	s->next = BPF_CORE_READ(node, next);
	return 0;
}

/* living_thread returns a thread that holds the memory and the files of its
 * process, which is the main one unless that has ended before others. */
static __always_inline struct task_struct *living_thread(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;
	struct steps s = {};

	if (leader->mm || sig->nr_threads < 2)
		return leader;
	s.head = (void *)sig + bpf_core_field_offset(struct signal_struct, thread_head);
	s.next = sig->thread_head.next;
	bpf_loop(1 << 22, step, &s, 0);
	return s.living ? s.living : leader;
}

#define BLOCK 8 /* words of a bitmap that are read at a time */

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

/* count_fds returns the number of open file descriptors. The table may be
 * freed while we look at it: who still has it afterwards had it all the time. */
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

/* pages reads a counter of memory; its kind must be a constant, or the
 * compiler takes our size of a counter for the kernel's. */
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

static __always_inline void tell_process(struct seq_file *seq, struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	struct task_struct *living;
	struct process_record *r;
	u32 zero = 0;

	r = bpf_map_lookup_elem(&process_scratch, &zero);
	if (!r)
		return;
	__builtin_memset(r, 0, sizeof(*r));
	r->kind = KIND_PROCESS;
	r->pid = pid_of(task);
	if (!r->pid)
		return;
	r->tgid = task->tgid;
	r->ppid = pid_of(task->real_parent);
	r->flags = counts(task);
	r->state = state_of(task);
	r->task_flags = task->flags;
	r->uid = task->real_cred->euid.val;
	r->threads = sig->nr_threads;
	__builtin_memcpy(r->comm, task->comm, sizeof(r->comm));
	r->start = task->start_boottime;
	r->exec_id = task->self_exec_id;
	r->cgroup = task->cgroups->dfl_cgrp->kn->id;
	r->fd_limit = sig->rlim[RLIMIT_NOFILE].rlim_cur;
	read_task(&r->usage, task);
	add_dead(&r->usage, task);
	/* Whoever is reaped leaves what it used to its process, and still has it. That
	 * it has begun shows afterwards: a thread in ended, and the main one, which is
	 * the last, in exit_state. */
	barrier();
	r->ended = sig->sum_sched_runtime;
	r->exit_state = task->exit_state;
	if (r->ended)
		add_dead_waits(&r->usage, task);
	living = living_thread(task);
	read_memory(r, living);
	if (!(r->task_flags & PF_KTHREAD))
		r->fds = count_fds(living);
	bpf_seq_write(seq, r, sizeof(*r));
}

static __always_inline void tell_thread(struct seq_file *seq, struct task_struct *task)
{
	struct thread_record r = { .kind = KIND_THREAD };

	r.pid = pid_of(task);
	if (!r.pid)
		return;
	r.tid = own_level == 0 ? task->pid : in_own_ns(task->thread_pid);
	r.flags = counts(task);
	r.state = state_of(task);
	r.exit_state = task->exit_state;
	__builtin_memcpy(r.comm, task->comm, sizeof(r.comm));
	r.start = task->start_boottime;
	r.ended = task->signal->sum_sched_runtime;
	read_task(&r.usage, task);
	if (task->flags & PF_EXITING) /* dead_threads has its waiting */
		r.usage.run_delay = r.usage.block_delay = 0;
	r.usage.prev_utime = task->prev_cputime.utime;
	r.usage.prev_stime = task->prev_cputime.stime;
	bpf_seq_write(seq, &r, sizeof(r));
}

SEC("iter/task")
int tell_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	if (ctx->meta->seq_num == 0) {
		struct task_struct *self = (void *)bpf_get_current_task();
		own_level = BPF_CORE_READ(self, thread_pid, level);
	}
	if (task->pid == task->tgid)
		tell_process(ctx->meta->seq, task);
	if (task->signal->nr_threads > 1)
		tell_thread(ctx->meta->seq, task);
	return 0;
}

/* send returns whether there was room. */
static __always_inline bool send(void *record, u64 size)
{
	u64 flags = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > RING_SIZE / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	return bpf_ringbuf_output(&events, record, size, flags) == 0;
}

/* remains_of returns what is kept of a process, or 0 if there is no room. */
static __always_inline struct remains *remains_of(struct task_struct *leader)
{
	struct birth key = birth_of(leader);
	struct remains *kept, none = {};

	kept = bpf_map_lookup_elem(&dead_threads, &key);
	if (kept)
		return kept;
	bpf_map_update_elem(&dead_threads, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&dead_threads, &key);
}

/* keep_waits remembers the waiting of a thread that ends before its process. */
static __always_inline void keep_waits(struct task_struct *task)
{
	struct remains *kept = remains_of(task->group_leader);

	if (!kept)
		return;
	__sync_fetch_and_add(&kept->run_delay, run_delay_of(task));
	__sync_fetch_and_add(&kept->block_delay, block_delay_of(task));
}

/* lose counts a process that there was no room to tell the words of, once. Should
 * there be room later, when it has been reaped, its end must not count as well. */
static __always_inline void lose(struct task_struct *leader)
{
	struct remains *kept = remains_of(leader);

	if (kept && kept->untold)
		return;
	if (kept)
		kept->untold = 1;
	__sync_fetch_and_add(&lost_events, 1);
}

static __always_inline u32 exit_code_of(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;

	return sig->flags & SIGNAL_GROUP_EXIT ? sig->group_exit_code : leader->exit_code;
}

/* tell_words sends what the process of task is called. */
static __always_inline void tell_words(u32 kind, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct mm_struct *mm = task->mm;
	struct words_record *r;
	u32 zero = 0;
	u64 len;

	r = bpf_map_lookup_elem(&words_scratch, &zero);
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
		r->flags = counts(task);
		r->exit_code = exit_code_of(leader);
		r->oom_killed = task->signal->oom_mm != 0;
		r->peak_rss = task->signal->maxrss;
		read_task(&r->usage, task);
		add_dead(&r->usage, task);
	}
	len = r->args_len;
	if (len > ARGS_MAX)
		len = ARGS_MAX;
	if (!send(r, __builtin_offsetof(struct words_record, args) + len))
		lose(leader);
}

static __always_inline int thread_ends(struct task_struct *task, bool last)
{
	if (task->flags & PF_KTHREAD)
		return 0;
	if (task->pid != task->tgid)
		keep_waits(task);
	if (last)
		tell_words(KIND_EXIT, task);
	return 0;
}

/* Since Linux 6.16 the tracepoint says whether this is the last thread, and
 * comes before the memory is given up. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits, struct task_struct *task, bool last)
{
	return thread_ends(task, last);
}

/* Before, two threads that end at once may both seem to be the last, and the
 * command line is gone already: process_execs tells that. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits_6_15, struct task_struct *task)
{
	return thread_ends(task, task->signal->live.counter == 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs, struct task_struct *task)
{
	tell_words(KIND_EXEC, task);
	return 0;
}

/* When a process has been reaped and nobody refers to it any more, its threads
 * have left all they used with it. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(process_freed, struct task_struct *task)
{
	struct free_record r = { .kind = KIND_FREE };
	struct signal_struct *sig = task->signal;
	struct birth key = birth_of(task);

	if (task->pid != task->tgid || task->flags & PF_KTHREAD)
		return 0;
	r.tgid = task->tgid;
	r.flags = counts(task);
	r.exit_code = exit_code_of(task);
	r.oom_killed = sig->oom_mm != 0;
	r.start = task->start_boottime;
	r.exec_id = task->self_exec_id;
	r.peak_rss = sig->maxrss;
	add_dead(&r.usage, task);
	r.usage.run_delay = run_delay_of(task);
	r.usage.block_delay = block_delay_of(task);
	if (add_dead_waits(&r.usage, task))
		r.flags |= UNTOLD;
	bpf_map_delete_elem(&dead_threads, &key);
	send(&r, sizeof(r)); /* without it, what the last thread said is taken */
	return 0;
}

/* Keeps the types of the records in the object, from which those of Go are made. */
const struct thread_record *thread_record_type __attribute__((unused));
const struct free_record *free_record_type __attribute__((unused));
