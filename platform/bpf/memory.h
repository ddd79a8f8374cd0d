/* Functions that read the memory of a process. Since Linux 6.2 each RSS counter has a
 * global part and a part per CPU, which /proc/PID/stat leaves out. The kernel moves a
 * part to the global one when it exceeds max(32, twice the number of CPUs) pages. If that
 * happens between the reads of the two parts, the sum is wrong by that part. */

#ifndef MEMORY_H
#define MEMORY_H

#define CPUS 64       /* per call of a function for several CPUs */
#define MAX_CPUS 8192 /* the largest CONFIG_NR_CPUS */

/* save_cpu_offsets sets cpu_offsets of CPUS CPUs. The offset of a CPU is the difference
 * between the address that a value of a per-CPU map has on that CPU and the per-CPU
 * address of the value, which the map contains. The kernel's table of the offsets,
 * __per_cpu_offset, has no type, and its address requires CAP_SYSLOG. */
__noinline u32 save_cpu_offsets(u32 cpu)
{
	u64 map = address_of(&process_buffer);
	u64 base = 0;
	u32 zero = 0;

	if (cpus == 0) /* Linux 5.10 does not have the helper below */
		return 0;
	bpf_probe_read_kernel(&base, sizeof(base), (void *)map + bpf_core_field_offset(struct bpf_array, pptrs[0]));
	for (u32 i = 0; i < CPUS; i++) {
		u32 key = cpu + i;
		void *value;
		u64 offset;

		keep_counter(i);
		if (key >= cpus)
			break;
		value = bpf_map_lookup_percpu_elem(&process_buffer, &zero, key);
		if (!value)
			break;
		offset = address_of(value) - base;
		bpf_map_update_elem(&cpu_offsets, &key, &offset, BPF_ANY);
	}
	return 0;
}

static __always_inline void find_cpu_offsets(void)
{
	u32 last = cpus - 1;
	u64 *offset;

	if (cpus == 0)
		return;
	offset = bpf_map_lookup_elem(&cpu_offsets, &last);
	if (!offset || *offset) /* saved before */
		return;
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu += CPUS) {
		keep_counter(cpu);
		if (cpu >= cpus)
			break;
		save_cpu_offsets(cpu);
	}
}

/* read_cpu reads the part that a CPU has of per-CPU counters. It returns false if there
 * is no such CPU. */
static __always_inline bool read_cpu(s32 *part, u32 size, u64 counters, u32 cpu)
{
	u64 *offset = bpf_map_lookup_elem(&cpu_offsets, &cpu);

	return offset && !bpf_probe_read_kernel(part, size, (void *)counters + *offset);
}

/* add_cpus adds the parts that CPUS CPUs have of the RSS counters, which are adjacent, to
 * the record in process_buffer. */
__noinline u32 add_cpus(u64 counters, u32 cpu)
{
	u32 zero = 0;
	struct process_record *r = bpf_map_lookup_elem(&process_buffer, &zero);

	if (!r)
		return 0;
	for (u32 i = 0; i < CPUS; i++) {
		s32 part[NR_MM_COUNTERS];

		keep_counter(i);
		if (!read_cpu(part, sizeof(part), counters, cpu + i))
			break;
		for (int kind = 0; kind < NR_MM_COUNTERS; kind++)
			r->rss[kind] += part[kind];
	}
	return 0;
}

/* sum_cpus returns the sum of the parts that CPUS CPUs have of one counter. */
__noinline s64 sum_cpus(u64 counter, u32 cpu)
{
	s64 sum = 0;

	for (u32 i = 0; i < CPUS; i++) {
		s32 part;

		keep_counter(i);
		if (!read_cpu(&part, sizeof(part), counter, cpu + i))
			break;
		sum += part;
	}
	return sum;
}

/* cpu_parts returns the address of the per-CPU parts of an RSS counter, or 0. */
#define cpu_parts(mm, kind) ((u64)BPF_CORE_READ(mm, rss_stat[kind].counters))

/* add_cpu_parts adds the per-CPU parts of the RSS counters. Since Linux 6.6 those of
 * all counters are adjacent. */
static __always_inline void add_cpu_parts(struct process_record *r, struct mm_struct *mm)
{
	u64 file = cpu_parts(mm, MM_FILEPAGES), anon = cpu_parts(mm, MM_ANONPAGES);
	u64 swap = cpu_parts(mm, MM_SWAPENTS), shmem = cpu_parts(mm, MM_SHMEMPAGES);
	bool adjacent = !separate_counters && anon == file + 4 && swap == file + 8 && shmem == file + 12;

	for (u32 cpu = 0; cpu < MAX_CPUS; cpu += CPUS) {
		keep_counter(cpu);
		if (cpu >= cpus)
			break;
		if (adjacent) {
			add_cpus(file, cpu);
			continue;
		}
		r->rss[MM_FILEPAGES] += sum_cpus(file, cpu);
		r->rss[MM_ANONPAGES] += sum_cpus(anon, cpu);
		r->rss[MM_SWAPENTS] += sum_cpus(swap, cpu);
		r->rss[MM_SHMEMPAGES] += sum_cpus(shmem, cpu);
	}
}

/* pages reads an RSS counter. Its kind must be a constant: for a variable index the
 * compiler uses the size of the counter in kernel.h, not in the running kernel. */
#define pages(mm, kind)                                                                                  \
	(bpf_core_field_exists(((struct mm_struct___6_1 *)0)->rss_stat.count)                            \
		 ? BPF_CORE_READ((struct mm_struct___6_1 *)mm, rss_stat.count[kind].counter)             \
		 : BPF_CORE_READ(mm, rss_stat[kind].count))

/* read_memory reads the memory of a process. r is the record in process_buffer. */
static __always_inline void read_memory(struct process_record *r, struct task_struct *t)
{
	struct mm_struct *mm = BPF_CORE_READ(t, mm);

	if (!mm)
		return;
	r->has_mm = 1;
	r->virt = BPF_CORE_READ(mm, total_vm);
	r->rss[MM_FILEPAGES] = pages(mm, MM_FILEPAGES);
	r->rss[MM_ANONPAGES] = pages(mm, MM_ANONPAGES);
	r->rss[MM_SWAPENTS] = pages(mm, MM_SWAPENTS);
	r->rss[MM_SHMEMPAGES] = pages(mm, MM_SHMEMPAGES);
	if (cpus > 0 && bpf_core_field_exists(mm->rss_stat[0].counters))
		add_cpu_parts(r, mm);
}

#endif
