/* The fields of the kernel's socket types that the programs read, as in kernel.h. */

#ifndef SOCKET_TYPES_H
#define SOCKET_TYPES_H

#define SOCKFS_MAGIC 0x534F434B /* linux/magic.h */
#define AF_UNIX 1               /* linux/socket.h */
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1 /* linux/net.h */
#define SOCK_DGRAM 2
#define IPPROTO_TCP 6 /* linux/in.h */
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define SOCK_DEAD 1 /* bits of sk_flags by enum sock_flags, net/sock.h */
#define SOCK_DONE 2

/* net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

typedef struct {
	atomic64_t refcnt;
} file_ref_t;

struct file {
	struct inode *f_inode;
	void *private_data;
	file_ref_t f_ref; /* since Linux 6.13 */
};

struct file___6_12 { /* until Linux 6.12 */
	atomic_long_t f_count;
};

struct sock;

struct socket {
	struct file *file;
	struct sock *sk;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	u16 skc_dport; /* big-endian */
	u16 skc_num;
	unsigned long skc_flags;
};

struct numa_drop_counters {
	atomic_t drops0, drops1;
};

struct sock {
	struct sock_common __sk_common;
	struct {
		int owned;
	} sk_lock;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	atomic_t sk_drops;
	struct numa_drop_counters *sk_drop_counters; /* since Linux 6.18, of UDP sockets */
	struct socket *sk_socket;
	refcount_t sk_wmem_alloc;
	int sk_err;
	u16 sk_type, sk_protocol;
	u32 sk_ack_backlog, sk_max_ack_backlog;
	u8 sk_kern_sock : 1;
};

struct tcp_sock {
	u64 bytes_acked, bytes_sent, bytes_retrans, bytes_received;
	u32 snd_una, snd_nxt, write_seq, segs_out, total_retrans, srtt_us;
	bool is_mptcp; /* with CONFIG_MPTCP */
};

struct udp_sock {
	int forward_deficit;
};

struct mptcp_sock {
	struct list_head conn_list;
};

struct mptcp_subflow_context {
	struct list_head node;
	struct sock *tcp_sock;
};

struct proto_accept_arg;

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#pragma clang attribute pop

#endif
