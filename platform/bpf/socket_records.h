/* The records of sockets that the programs send to user space. bpf2go generates the Go types
 * from them. */

#ifndef SOCKET_RECORDS_H
#define SOCKET_RECORDS_H

/* Types of a socket_record. A subflow is a TCP connection of an MPTCP socket, whose own record
 * has the inode number and no counters. */
enum { SOCKET_TCP = 1, SOCKET_MPTCP, SOCKET_SUBFLOW, SOCKET_UDP, SOCKET_UNIX };

/* Flags of a socket. SOCKET_CREATED: it was connected, established or listening after the programs
 * were loaded. SOCKET_OUTGOING: by connect(2). SOCKET_OWNER_CLOSED: the process of the record closed
 * it, and no other process had it open. SOCKET_ENDED: the connection has ended, but its
 * socket is open. */
enum { SOCKET_CREATED = 1, SOCKET_OUTGOING = 2, SOCKET_OWNER_CLOSED = 4, SOCKET_ENDED = 8 };

/* The counters of a socket. They start at 0 with each connection. */
struct socket_counters {
	u64 sent, received;          /* bytes of payload */
	u32 segments;                /* sent, with retransmissions; wraps around */
	u32 retransmitted;           /* segments */
	u32 drops;                   /* of a listening or UDP socket */
	u32 round_trip;              /* smoothed, in microseconds; 0 if unknown */
	u32 established;             /* 1 if the connection was established */
	u32 error;                   /* errno with which the connection failed; 0 if it did not */
};

/* A socket that a process has open. */
struct socket_record {
	u64 start; /* of the process, in nanoseconds after boot */
	u64 inode;
	u64 id;         /* of this connection or listening socket; 0 if it has none */
	u64 first_scan; /* the first iteration that reported id */
	u64 scan;       /* this iteration */
	struct socket_counters counters;
	s32 pid; /* in the PID namespace of the loader */
	u8 type, state, flags, connected;
	u16 port, pad;
	u32 receive_queue; /* bytes, or connections that wait for accept(2) */
	u32 send_queue;    /* bytes, or the maximum of receive_queue of a listening socket */
	u32 pad2;
};

/* A TCP connection or a listening socket that was closed. */
struct closed_record {
	u64 id, first_scan;
	struct socket_counters counters;
	u64 start;       /* of the process */
	s32 pid;         /* of the last known process; 0 if it is unknown */
	u32 flags;
};

#endif
