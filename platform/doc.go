// Package platform reads the processes of a machine: what each uses, as a
// [Sample], and what each is called, as an [Identity].
//
// A [Source] reads all processes at once, into a [Snapshot] that its caller
// owns and hands to every walk. The package keeps no totals, knows nothing of
// groups or metrics, and invents nothing: a value is there only where Have says
// that it was read.
//
// # Errors
//
// A process that exits while it is read is left out without an error. An error
// about one process matches [ErrGone], [ErrAccessDenied] or [ErrUnresponsive]. On
// systems other than Linux [Open] fails with [errors.ErrUnsupported].
package platform
