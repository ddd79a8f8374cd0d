/* Functions that find the PID of a process in the PID namespace of the loader. */

#ifndef PID_H
#define PID_H

/* Inode number of the PID namespace of the loader, which sets it. */
const volatile u32 own_ns = 0;

/* Nesting level of that namespace. Only the kernel knows it: the first run of the task
 * iterator sets it. Until then no process is in the namespace. */
#define UNKNOWN_LEVEL 0xffffffff
u32 own_level = UNKNOWN_LEVEL;

/* Loops have a constant bound: the helper bpf_loop, which needs none, exists only since
 * Linux 5.17. Long loops are nested. Each inner loop is a global function, which the
 * verifier checks once and not for each call. Its arguments are scalars, because Linux
 * 5.10 permits no others.
 * keep_counter prevents that the compiler replaces a loop counter by another variable,
 * whose bound the verifier does not know. */
#define keep_counter(i) asm volatile("" : "+r"(i))

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

#define PID_NS_LEVELS 33 /* one more than MAX_PID_NS_LEVEL of the kernel */

/* find_own_level sets own_level. task is in the namespace of the loader, as all tasks that
 * the task iterator reports. The task of the loader is not used: Linux 6.10 and later for
 * arm64 crash in bpf_get_current_task() without JIT compiler. */
static __always_inline void find_own_level(struct task_struct *task)
{
	struct pid *p = task->thread_pid;

	for (u32 level = 0; level < PID_NS_LEVELS; level++) {
		struct upid id = {};

		keep_counter(level);
		if (!p || level > BPF_CORE_READ(p, level))
			break;
		bpf_probe_read_kernel(&id, sizeof(id), (void *)p + bpf_core_field_offset(struct pid, numbers) + level * sizeof(id));
		if (BPF_CORE_READ(id.ns, ns.inum) == own_ns) {
			own_level = level;
			break;
		}
	}
}

static __always_inline s32 pid_of(struct task_struct *task)
{
	return own_level == 0 ? task->tgid : pid_in_own_ns(task->signal->pids[PIDTYPE_TGID]);
}

#endif
