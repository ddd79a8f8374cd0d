/* Functions that read kernel structures of tasks. tasks.bpf.c includes this file after the
 * variables and maps that they use. */

#ifndef TASK_H
#define TASK_H

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

#define THREADS 256 /* checked per call of search_threads */

/* search_threads returns the list node of the first thread that has an mm, of THREADS
 * threads from node on. Otherwise it returns the node after them, or head at the end. */
__noinline u64 search_threads(u64 node, u64 head)
{
	for (u32 i = 0; i < THREADS; i++) {
		struct task_struct *t = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);

		keep_counter(i);
		if (!node || node == head || BPF_CORE_READ(t, mm))
			break;
		node = (u64)BPF_CORE_READ((struct list_head *)node, next);
	}
	return node;
}

/* live_thread returns a thread that has the memory and the files of its process:
 * the leader, or one of the first 65,536 threads if the leader has exited before it. */
static __always_inline struct task_struct *live_thread(struct task_struct *leader)
{
	struct signal_struct *sig = leader->signal;
	u64 node, head;

	if (leader->mm || sig->nr_threads < 2)
		return leader;
	head = address_of(sig) + bpf_core_field_offset(struct signal_struct, thread_head);
	node = (u64)BPF_CORE_READ(sig, thread_head.next);
	for (u32 i = 0; i < 256; i++) {
		struct task_struct *t = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);

		keep_counter(i);
		if (!node || node == head)
			break;
		if (BPF_CORE_READ(t, mm))
			return t;
		node = search_threads(node, head);
	}
	return leader;
}

#define BLOCK 8               /* 64-bit words of a bitmap per read */
#define WORDS (32 * BLOCK)    /* words per call of count_words */
#define SECTION (256 * WORDS) /* words per call of count_section */

/* count_words counts the bits that are set in a bitmap of n words, at most WORDS. */
__noinline u32 count_words(u64 bitmap, u64 n)
{
	u64 words[BLOCK];
	u32 ones = 0;

	for (u32 i = 0; i < WORDS / BLOCK; i++) {
		keep_counter(i);
		if (n < BLOCK || bpf_probe_read_kernel(words, sizeof(words), (void *)bitmap))
			break;
		for (int w = 0; w < BLOCK; w++)
			ones += __builtin_popcountll(words[w]);
		bitmap += sizeof(words);
		n -= BLOCK;
	}
	keep_counter(n);
	if (n == 0 || n >= BLOCK)
		return ones;
	__builtin_memset(words, 0, sizeof(words));
	if (bpf_probe_read_kernel(words, n * sizeof(u64), (void *)bitmap))
		return ones;
	for (int w = 0; w < BLOCK; w++)
		ones += __builtin_popcountll(words[w]);
	return ones;
}

/* count_section is count_words for at most SECTION words. */
__noinline u32 count_section(u64 bitmap, u64 n)
{
	u32 ones = 0;

	for (u32 i = 0; i < SECTION / WORDS; i++) {
		keep_counter(i);
		ones += count_words(bitmap, n);
		if (n <= WORDS)
			break;
		bitmap += WORDS * sizeof(u64);
		n -= WORDS;
	}
	return ones;
}

/* count_fds returns the number of open file descriptors. The table may be freed
 * during the count: the result is valid only if the task still has it afterwards. */
static __always_inline u32 count_fds(struct task_struct *t)
{
	struct files_struct *files = BPF_CORE_READ(t, files);
	struct fdtable *fdt = BPF_CORE_READ(files, fdt);
	u64 bitmap = (u64)BPF_CORE_READ(fdt, open_fds);
	u64 n = BPF_CORE_READ(fdt, max_fds) / 64;
	u32 ones = 0;

	if (!files)
		return 0;
	if (n <= WORDS) {
		ones = count_words(bitmap, n);
	} else {
		for (u32 i = 0; i < 512; i++) { /* enough: fs.nr_open is less than 2^31 */
			keep_counter(i);
			ones += count_section(bitmap, n);
			if (n <= SECTION)
				break;
			bitmap += SECTION * sizeof(u64);
			n -= SECTION;
		}
	}
	return BPF_CORE_READ(t, files) == files ? ones : 0;
}

#endif
