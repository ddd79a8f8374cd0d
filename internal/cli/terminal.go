package cli

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/seed57308aee/process_exporter/internal/printable"
)

// A terminal is an output stream that is a terminal. Write escapes control characters, because
// names of processes and responses of remote exporters can contain them.
type terminal struct {
	io.Writer
	file *os.File // for output that controls the terminal
}

// outputTo returns f, or a terminal if f is one. Files and pipes get the exact bytes.
func outputTo(f *os.File) io.Writer {
	if !term.IsTerminal(f.Fd()) {
		return f
	}
	return terminal{printable.NewWriter(f), f}
}
