package sockets

import (
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// Options selects the Reader.
type Options struct {
	Root string              // mount point of the process file system; "" is /proc
	Kind platform.SourceKind // as in [platform.Options]

	// Budget is the CPU time that one Read of /proc may spend on file descriptors; 0 is
	// 20 ms. The tables of sockets may take five times as much. A Read that exceeds it
	// leaves work for the next ones: processes are Unreadable until they have been read,
	// and sockets stay as in the last Report.
	Budget time.Duration
}

// Open returns the Reader of this operating system. On systems without one the error
// matches [errors.ErrUnsupported].
func Open(o Options) (Reader, error) { return newReader(o) }
