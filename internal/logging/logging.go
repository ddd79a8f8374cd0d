// Package logging creates the logger of the daemon.
//
// A [Sink] keeps a slow or broken log file from blocking the program. The
// handler returned by [New] limits the rate of log lines, so that an error
// which repeats does not fill the disk.
package logging

import (
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/seed57308aee/process_exporter/internal/printable"
)

// New returns a logger that writes to w in the format and from the level of
// config. It limits the rate of lines.
//
// The lines are those of promslog without the position in the code: promslog
// stores it in the key source, which the exporter uses for the process source.
func New(config promslog.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{ReplaceAttr: utcTime}
	if config.Level != nil {
		options.Level = config.Level
	}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if config.Format != nil && config.Format.String() == "json" {
		handler = slog.NewJSONHandler(printable.JSONWriter{W: w}, options)
	}
	return slog.New(limitedHandler{handler, newLimits(time.Now)})
}

// OneLine returns the text of err without line breaks, which some libraries use
// and log collectors split at.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// utcTime converts the time of a line to UTC.
func utcTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
