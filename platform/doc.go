// Package platform reads the processes of a machine: the resources that each uses,
// as a [Sample], and its name, user and cgroups, as an [Identity].
//
// A [Source] reads all processes in one walk, into a [Snapshot] that the caller owns
// and passes to every walk. There are two sources: procfs reads /proc, bpf reads kernel
// structures with BPF programs. The package keeps no totals and knows neither groups nor
// metrics.
//
// # Missing is not zero
//
// A value of a Sample is valid only if its field is in Have: see [Fields].
//
// # Errors
//
// A walk omits a process that exits while it is read, without an error. An error about
// one process matches [ErrGone], [procfs.ErrAccessDenied] or [ErrUnresponsive]. On systems
// other than Linux, [Open] returns an error that matches [errors.ErrUnsupported].
package platform
