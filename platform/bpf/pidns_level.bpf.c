//go:build ignore

// BPF program: a task iterator that reports the nesting level of the PID namespace of the
// loader, which only the kernel knows. The other programs have it as a constant, which the
// loader cannot change later. SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "kernel.h"
#include "pid.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define PID_NS_LEVELS 33 /* one more than MAX_PID_NS_LEVEL of the kernel */

/* find_pidns_level writes the level as u32. Each task that the iterator reports is in the namespace.
 * The task of the loader is not used: Linux 6.10 and later for arm64 crash in
 * bpf_get_current_task() without JIT compiler. */
SEC("iter/task")
int find_pidns_level(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pid *p;

	if (!task)
		return 0;
	p = task->thread_pid;
	for (u32 level = 0; level < PID_NS_LEVELS; level++) {
		struct upid id = {};

		keep_counter(level);
		if (!p || level > BPF_CORE_READ(p, level))
			break;
		read_upid(&id, p, level);
		if (BPF_CORE_READ(id.ns, ns.inum) == own_ns) {
			u32 found = level;

			bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
			break;
		}
	}
	return 0;
}
