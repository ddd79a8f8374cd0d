/* Functions that read kernel structures of tasks. tasks.bpf.c includes this file after the
 * variables and maps that they use. */

#ifndef TASK_H
#define TASK_H

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

#endif
