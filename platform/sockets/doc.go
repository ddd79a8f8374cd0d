// Package sockets reads the network sockets of all processes: how many bytes each process
// sent and received over TCP, and which sockets it has open.
//
// The kernel counts the bytes of each TCP connection in its socket. A [Reader] with BPF
// programs reads these counters in each Read, and when a connection closes. No program
// runs per packet. A Reader of /proc knows the open sockets, but not their bytes.
//
// A socket belongs to one process at a time, although several can have it open after
// fork(2) or SCM_RIGHTS. It keeps its owner while that process has it open. Otherwise
// its owner is the process with the lowest PID that has it open.
package sockets
