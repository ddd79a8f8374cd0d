package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/internal/daemon"
)

// scrapeOnce prints one scrape in text format without serving HTTP. An earlier
// scrape, which it discards, sets the base of the counters, so that they show
// the changes during the delay.
func scrapeOnce(ctx context.Context, e *daemon.Exporter, delay time.Duration, w io.Writer) error {
	gatherer := e.Gatherer(ctx)
	if _, err := gatherer.Gather(); err != nil {
		return fmt.Errorf("first scrape: %w", err)
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	families, err := gatherer.Gather()
	if err != nil {
		return fmt.Errorf("second scrape: %w", err)
	}
	enc := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := enc.Encode(family); err != nil {
			return fmt.Errorf("print %s: %w", family.GetName(), err)
		}
	}
	return nil
}
