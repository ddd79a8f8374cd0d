package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/expfmt"
)

// once prints a single scrape without listening anywhere. An earlier scrape,
// thrown away, gives the counters the values from which they count, so that
// they show what happened during the pause.
func (e *exporter) once(ctx context.Context, w io.Writer) error {
	metrics := e.metrics.gatherer(ctx)
	if _, err := metrics.Gather(); err != nil {
		return fmt.Errorf("first scrape: %w", err)
	}
	select {
	case <-time.After(e.settings.onceDelay):
	case <-ctx.Done():
		return ctx.Err()
	}
	families, err := metrics.Gather()
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
