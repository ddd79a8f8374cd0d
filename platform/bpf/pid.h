/* Functions that find the PID of a process in the PID namespace of the loader. */

#ifndef PID_H
#define PID_H

/* Inode number of the PID namespace of the loader, which sets it. */
const volatile u32 own_ns = 0;

/* Nesting level of that namespace, which the loader sets. */
const volatile u32 own_level = 0;

/* Loops have a constant bound: the helper bpf_loop, which needs none, exists only since
 * Linux 5.17. Long loops are nested. Each inner loop is a global function, which the
 * verifier checks once and not for each call. Its arguments are scalars, because Linux
 * 5.10 permits no others.
 * keep_counter prevents the compiler from replacing a loop counter by another variable,
 * whose bound the verifier does not know. */
#define keep_counter(i) asm volatile("" : "+r"(i))

/* read_upid reads the PID of a process in its namespace of a level. */
static __always_inline void read_upid(struct upid *id, struct pid *p, u32 level)
{
	bpf_probe_read_kernel(id, sizeof(*id), (void *)p + bpf_core_field_offset(struct pid, numbers) + level * sizeof(*id));
}

/* pid_in_own_ns returns the PID in the namespace of the loader, or 0 if the process is
 * not visible there. */
static __always_inline s32 pid_in_own_ns(struct pid *p)
{
	struct upid id = {};

	if (!p || BPF_CORE_READ(p, level) < own_level)
		return 0;
	read_upid(&id, p, own_level);
	return BPF_CORE_READ(id.ns, ns.inum) == own_ns ? id.nr : 0;
}

static __always_inline s32 pid_of(struct task_struct *task)
{
	return own_level == 0 ? task->tgid : pid_in_own_ns(task->signal->pids[PIDTYPE_TGID]);
}

#endif
