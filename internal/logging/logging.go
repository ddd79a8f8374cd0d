// Package logging creates the logger of the daemon.
//
// A [Sink] keeps a slow or broken log file from blocking the program. The
// handler returned by [New] limits the rate of log lines, so that an error
// which repeats does not fill the disk.
package logging

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/common/promslog"
)

// New returns a logger that writes to w in the format and from the level of
// config. It limits the rate of lines.
func New(config promslog.Config, w io.Writer) *slog.Logger {
	config.Writer = w
	return slog.New(limitedHandler{promslog.New(&config).Handler(), newLimits(time.Now)})
}
