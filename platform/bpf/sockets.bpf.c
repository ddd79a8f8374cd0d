//go:build ignore

// BPF programs: an iterator that reports the open sockets of all processes, and programs that
// report TCP connections when they close. The kernel counts the bytes of each connection: no
// program runs per packet. SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "kernel.h"
#include "socket_types.h"
#include "pid.h"
#include "socket_records.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* PID of the loader, in its own PID namespace. The loader sets it. */
const volatile s32 own_pid = 0;

/* Connections and listening sockets whose counters were lost, because the ring buffer
 * or the map of sockets was full. User space reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY);
	__type(key, u32);
	__type(value, u64);
} lost_sockets SEC(".maps");

/* Size of the ring buffer, of which the loader can choose a smaller one. */
const volatile u64 ring_size = 2 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} closed_sockets SEC(".maps");

/* The state of a TCP socket that connects or listens, until its end. */
struct socket_state {
	u64 id;
	u64 first_scan; /* 0 if no iteration has reported it */
	u64 start;      /* of the process */
	s32 pid;        /* of the process that connected or closed it; 0 if unknown */
	u32 flags;
	u32 error;      /* see socket_counters */
	u32 pad;
};

/* By the address of the struct sock. If an entry remains after the end of its socket, the next
 * connection at the same address replaces it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* Since Linux 6.1 the kernel does not run a tracepoint program while the same program runs on this
 * CPU: an interrupt can change the state of another socket in that time. So two programs handle
 * each change: the second one handles what the first one has missed. */
#define HANDLED 4096
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HANDLED);
	__type(key, u32);
	__type(value, u64);
} handled_changes SEC(".maps");

#define state_of_sock(sk) BPF_CORE_READ(sk, __sk_common.skc_state)

/* is_fin_queued returns whether a socket in a state has a FIN in its send queue or has sent it. */
static __always_inline bool is_fin_queued(u32 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING || state == TCP_LAST_ACK;
}

/* sent_bytes returns the payload that was sent, without retransmissions. bytes_sent counts a
 * segment again if a local queue has dropped it. The sequence numbers count it once, but include
 * SYN and FIN, and can change between two reads. So it returns the lower of both. */
static __always_inline u64 sent_bytes(struct tcp_sock *tp, u32 state, u32 flags)
{
	u64 acked = BPF_CORE_READ(tp, bytes_acked);
	u32 una = BPF_CORE_READ(tp, snd_una);
	u32 next = BPF_CORE_READ(tp, snd_nxt);
	u32 end = BPF_CORE_READ(tp, write_seq);
	u64 sent = BPF_CORE_READ(tp, bytes_sent);
	u64 again = BPF_CORE_READ(tp, bytes_retrans);
	u64 by_sequence = acked + (u32)(next - una);
	u64 by_segments = sent > again ? sent - again : 0;

	if (by_sequence && next == end && is_fin_queued(state))
		by_sequence--;
	if (by_sequence && flags & SOCKET_OUTGOING)
		by_sequence--;
	return by_sequence < by_segments ? by_sequence : by_segments;
}

/* read_tcp reads the counters of a TCP socket that is or was in a state. */
static __always_inline void read_tcp(struct socket_counters *c, struct sock *sk, u32 state, u32 flags)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	u64 received;

	if (state == TCP_LISTEN) {
		c->drops = BPF_CORE_READ(sk, sk_drops.counter);
		return;
	}
	c->sent = sent_bytes(tp, state, flags);
	received = BPF_CORE_READ(tp, bytes_received); /* with the FIN; tcp_fin() sets SOCK_DONE */
	if (received && BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DONE)
		received--;
	c->received = received;
	c->segments = BPF_CORE_READ(tp, segs_out);
	c->retransmitted = BPF_CORE_READ(tp, total_retrans);
	c->round_trip = BPF_CORE_READ(tp, srtt_us) >> 3;
	c->established = state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

/* error_of returns the error with which a connection fails in a state, or 0. An error after a
 * process has closed it, or before one has accepted it, is no failure. */
static __always_inline u32 error_of(struct sock *sk, u32 state)
{
	if (state == TCP_LISTEN || (state != TCP_SYN_SENT && !BPF_CORE_READ(sk, sk_socket)))
		return 0;
	return BPF_CORE_READ(sk, sk_err);
}

/* new_id returns a number that differs for all connections since boot. It does not depend on
 * addresses, because user space reads it. */
static __always_inline u64 new_id(void)
{
	return bpf_ktime_get_ns() ^ (u64)bpf_get_prandom_u32() << 32;
}

/* track returns the state of a socket that a process has open. It creates the state of a
 * connection that existed before the programs were loaded. */
static __always_inline struct socket_state *track(struct sock *sk)
{
	u64 key = address_of(sk);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &key);
	struct socket_state created = {};

	if (s)
		return s;
	created.id = new_id();
	if (bpf_map_update_elem(&sockets, &key, &created, BPF_NOEXIST))
		return bpf_map_lookup_elem(&sockets, &key);
	if (state_of_sock(sk) == TCP_CLOSE) { /* closed in between: its program has found no entry */
		bpf_map_delete_elem(&sockets, &key);
		return 0;
	}
	return bpf_map_lookup_elem(&sockets, &key);
}

/* ended returns the state of a socket whose connection ended before a process was known. */
static __always_inline struct socket_state *ended(struct sock *sk)
{
	u64 key = address_of(sk);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &key);

	return s && s->flags & SOCKET_ENDED ? s : 0;
}

/* emit_tcp sends the record of a TCP socket. */
static __always_inline void emit_tcp(struct bpf_iter_meta *meta, struct socket_record *r, struct sock *sk)
{
	struct socket_state *s = 0;

	r->id = r->first_scan = 0;
	r->flags = 0;
	__builtin_memset(&r->counters, 0, sizeof(r->counters));
	r->state = state_of_sock(sk);
	if (r->state == TCP_CLOSE)
		s = ended(sk);
	else if (r->state != TCP_SYN_RECV)
		s = track(sk);
	if (s) {
		if (!s->first_scan)
			s->first_scan = meta->session_id + 1;
		r->id = s->id;
		r->first_scan = s->first_scan;
		r->flags = s->flags;
		read_tcp(&r->counters, sk, r->state, r->flags);
		r->counters.error = s->error;
	}
	if (r->state == TCP_LISTEN) {
		r->receive_queue = BPF_CORE_READ(sk, sk_ack_backlog);
		r->send_queue = BPF_CORE_READ(sk, sk_max_ack_backlog);
	}
	bpf_seq_write(meta->seq, r, sizeof(*r));
}

#define MAX_SUBFLOWS 8

/* emit_mptcp sends the records of an MPTCP socket and of its subflows. */
static __always_inline void emit_mptcp(struct bpf_iter_meta *meta, struct socket_record *r, struct sock *sk)
{
	struct mptcp_sock *msk = (struct mptcp_sock *)sk;
	u64 head = (u64)msk + bpf_core_field_offset(struct mptcp_sock, conn_list);
	struct list_head *node;

	r->type = SOCKET_MPTCP;
	r->state = state_of_sock(sk);
	bpf_seq_write(meta->seq, r, sizeof(*r));
	node = BPF_CORE_READ(msk, conn_list.next);
	r->type = SOCKET_SUBFLOW;
	for (u32 i = 0; i < MAX_SUBFLOWS; i++) {
		struct mptcp_subflow_context *subflow =
			(void *)node - bpf_core_field_offset(struct mptcp_subflow_context, node);
		struct sock *ssk;

		keep_counter(i);
		if (!node || (u64)node == head)
			break;
		ssk = BPF_CORE_READ(subflow, tcp_sock);
		if (ssk)
			emit_tcp(meta, r, ssk);
		node = BPF_CORE_READ(node, next);
	}
}

static __always_inline void emit_udp(struct bpf_iter_meta *meta, struct socket_record *r, struct sock *sk)
{
	struct udp_sock *up = (struct udp_sock *)sk;
	struct numa_drop_counters *drops = 0;

	r->type = SOCKET_UDP;
	r->counters.drops = BPF_CORE_READ(sk, sk_drops.counter);
	if (bpf_core_field_exists(sk->sk_drop_counters))
		drops = BPF_CORE_READ(sk, sk_drop_counters);
	if (drops)
		r->counters.drops = BPF_CORE_READ(drops, drops0.counter) + BPF_CORE_READ(drops, drops1.counter);
	r->receive_queue = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter) - BPF_CORE_READ(up, forward_deficit);
	r->send_queue = BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) - 1;
	bpf_seq_write(meta->seq, r, sizeof(*r));
}

SEC("iter/task_file")
int iterate_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket_record r = {};
	struct inode *inode;
	struct sock *sk;
	u32 family, protocol;

	if (!task || !file)
		return 0;
	inode = file->f_inode;
	if (inode->i_sb->s_magic != SOCKFS_MAGIC)
		return 0;
	/* The helper bpf_sock_from_file exists only since Linux 5.11. */
	sk = BPF_CORE_READ((struct socket *)file->private_data, sk);
	r.pid = pid_of(task);
	if (!sk || !r.pid)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	r.start = task->group_leader->start_boottime;
	r.inode = inode->i_ino;
	r.scan = ctx->meta->session_id + 1;
	if (family == AF_UNIX) {
		r.type = SOCKET_UNIX;
		bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
		return 0;
	}
	r.state = state_of_sock(sk);
	r.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r.connected = BPF_CORE_READ(sk, __sk_common.skc_dport) != 0;
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if (protocol == IPPROTO_TCP && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM) {
		r.type = SOCKET_TCP;
		emit_tcp(ctx->meta, &r, sk);
	} else if (protocol == IPPROTO_UDP) {
		if (BPF_CORE_READ(sk, sk_type) == SOCK_DGRAM)
			emit_udp(ctx->meta, &r, sk);
	} else if (protocol == IPPROTO_MPTCP && bpf_core_type_exists(struct mptcp_subflow_context)) {
		emit_mptcp(ctx->meta, &r, sk);
	}
	return 0;
}

/* is_kernel_socket returns whether the kernel uses a TCP socket for itself. The kernel also
 * creates the subflows of MPTCP. */
static __always_inline bool is_kernel_socket(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (!BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return 0;
	return !bpf_core_field_exists(tp->is_mptcp) || !BPF_CORE_READ(tp, is_mptcp);
}

/* is_last_close returns whether the last file descriptor of a socket is being closed, or was. */
static __always_inline bool is_last_close(struct sock *sk)
{
	struct file *file;

	if (BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DEAD)
		return 1;
	file = BPF_CORE_READ(sk, sk_socket, file);
	if (!file)
		return 0;
	if (bpf_core_field_exists(file->f_ref))
		return BPF_CORE_READ(file, f_ref.refcnt.counter) < 0; /* FILE_REF_DEAD */
	return BPF_CORE_READ((struct file___6_12 *)file, f_count.counter) == 0;
}

/* set_owner makes the current process the owner of a socket, if it is visible in the PID
 * namespace of the loader. */
static __always_inline bool set_owner(struct socket_state *s)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	s32 pid;

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	if (own_level == 0)
		pid = bpf_get_current_pid_tgid() >> 32;
	else
		pid = pid_in_own_ns(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]));
	if (!pid)
		return 0;
	s->start = BPF_CORE_READ(task, group_leader, start_boottime);
	s->pid = pid;
	return 1;
}

/* find_owner finds the owner when the state of a socket changes. If a process has locked the
 * socket, it is the current process, in a call such as connect(2) or close(2). Otherwise a
 * packet or a timer has interrupted any process. */
static __always_inline void find_owner(struct socket_state *s, struct sock *sk)
{
	struct socket_state known = *s;
	bool closing;

	if (!BPF_CORE_READ(sk, sk_lock.owned) || is_kernel_socket(sk))
		return;
	closing = is_last_close(sk);
	if (known.pid && !closing)
		return;
	/* An iteration holds a reference of a file for a moment, so that the loader may be the
	 * one that closes it. */
	if (!set_owner(s) || !closing)
		return;
	if (s->pid != own_pid) {
		s->flags |= SOCKET_OWNER_CLOSED;
	} else if (known.pid) {
		s->pid = known.pid;
		s->start = known.start;
	}
}

/* send_closed sends the last counters of a socket. It wakes user space only when the ring
 * buffer is half full. */
static __always_inline void send_closed(struct socket_state *s, struct sock *sk, u32 state)
{
	struct closed_record r = {};
	u64 flags = bpf_ringbuf_query(&closed_sockets, BPF_RB_AVAIL_DATA) > ring_size / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;

	r.id = s->id;
	r.first_scan = s->first_scan;
	r.start = s->start;
	r.pid = s->pid;
	r.flags = s->flags;
	read_tcp(&r.counters, sk, state, s->flags);
	r.counters.error = s->error;
	if (bpf_ringbuf_output(&closed_sockets, &r, sizeof(r), flags))
		count(&lost_sockets);
}

/* is_handled returns whether another program has handled the change of a socket to a state, and
 * otherwise records that this one does. */
static __always_inline bool is_handled(u64 sk, u32 state)
{
	u32 key = (sk >> 6 ^ sk >> 18) & (HANDLED - 1);
	u64 *last = bpf_map_lookup_elem(&handled_changes, &key);

	if (!last)
		return 0;
	if (*last == (sk | state)) /* the address is a multiple of 16 */
		return 1;
	*last = sk | state;
	return 0;
}

static __always_inline int change_state(struct sock *sk, u32 old, u32 new)
{
	bool starts = new == TCP_SYN_SENT || new == TCP_LISTEN || (old == TCP_SYN_RECV && new == TCP_ESTABLISHED);
	struct socket_state *s, created = {};
	u64 key;

	if (!starts && new != TCP_FIN_WAIT1 && new != TCP_LAST_ACK && new != TCP_CLOSE)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	key = address_of(sk);
	if (is_handled(key, new))
		return 0;
	s = bpf_map_lookup_elem(&sockets, &key);
	if (starts) {
		if (new == TCP_ESTABLISHED && s && s->flags & SOCKET_OUTGOING)
			return 0; /* both ends have called connect(2) */
		created.id = new_id();
		created.flags = new == TCP_SYN_SENT ? SOCKET_CREATED | SOCKET_OUTGOING : SOCKET_CREATED;
		find_owner(&created, sk);
		if (bpf_map_update_elem(&sockets, &key, &created, BPF_ANY))
			count(&lost_sockets);
		return 0;
	}
	if (!s)
		return 0;
	find_owner(s, sk);
	if (new != TCP_CLOSE)
		return 0;
	s->error = error_of(sk, old);
	if (!s->pid && !s->first_scan && BPF_CORE_READ(sk, sk_socket)) {
		s->flags |= SOCKET_ENDED; /* the next scan or socket_destroyed finds the process */
		return 0;
	}
	send_closed(s, sk, old);
	bpf_map_delete_elem(&sockets, &key);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes, struct sock *sk, int old, int new)
{
	return change_state(sk, old, new);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes_missed, struct sock *sk, int old, int new)
{
	return change_state(sk, old, new);
}

/* A connection that ended while its socket was open has a state until its socket is destroyed, if its
 * process was not known. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(socket_destroyed, struct sock *sk)
{
	u64 key = address_of(sk);
	struct socket_state *s = bpf_map_lookup_elem(&sockets, &key);

	if (!s)
		return 0;
	if (s->flags & SOCKET_ENDED) {
		find_owner(s, sk);
		send_closed(s, sk, TCP_CLOSE);
	}
	bpf_map_delete_elem(&sockets, &key);
	return 0;
}

/* References that keep the record types in BTF, from which bpf2go generates Go types. */
const struct socket_record *const socket_record_type __attribute__((unused));
const struct closed_record *const closed_record_type __attribute__((unused));
const struct socket_counters *const socket_counters_type __attribute__((unused));
