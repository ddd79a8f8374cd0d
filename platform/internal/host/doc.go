// Package host converts values of /proc that depend on the machine: clock ticks
// to time and user IDs to names. It also classifies errors of reads, and detects reads
// that block. Packages platform, process and sockets share it.
package host
