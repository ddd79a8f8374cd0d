package sockets

import "github.com/seed57308aee/process_exporter/platform"

// Options selects the Reader.
type Options struct {
	Root string        // mount point of the process file system; "" is /proc
	Kind platform.Kind // as in [platform.Options]
}

// Open returns the Reader of this operating system. On systems without one the error
// matches [errors.ErrUnsupported].
func Open(o Options) (Reader, error) { return newReader(o) }
