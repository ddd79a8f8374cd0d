package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// keyBurst is the number of lines with one level and message that are
	// logged in a burst. After it, one line per minute is logged.
	keyBurst = 20

	// LinesPerMinute limits the lines of all messages in any minute.
	LinesPerMinute = 60

	// maxKeys limits the memory for buckets. The program has some tens of
	// messages.
	maxKeys = 256
)

// A limitedHandler drops lines that exceed the rate limits. The attribute
// "omitted" of the next line with the same key is the number of dropped lines.
type limitedHandler struct {
	slog.Handler
	limits *limits
}

// limits holds the rate limits that all handlers of one logger share.
type limits struct {
	now func() time.Time

	mu      sync.Mutex // guards total and buckets
	total   window
	buckets map[lineKey]*bucket
}

// A lineKey identifies lines that repeat. It excludes the attributes.
type lineKey struct {
	level   slog.Level
	message string
}

// A window is a sliding-window limit: LinesPerMinute lines in any minute.
type window struct {
	times  [LinesPerMinute]time.Time // ring of the last lines, zero for unused entries
	oldest int                       // index in times
}

// take reports whether a line is allowed at now, and records it if so.
func (w *window) take(now time.Time) bool {
	oldest := &w.times[w.oldest]
	if !oldest.IsZero() && now.Sub(*oldest) < time.Minute {
		return false
	}
	*oldest = now
	w.oldest = (w.oldest + 1) % len(w.times)
	return true
}

// A bucket is the leaky bucket of one key.
type bucket struct {
	level   float64   // lines
	updated time.Time // when level was computed
	omitted int       // lines dropped since the last line that was logged
}

// take reports whether a line is allowed at now, and adds it if so. The bucket
// holds size lines and drains perMinute lines per minute.
func (b *bucket) take(now time.Time, size, perMinute float64) bool {
	b.level = max(0, b.level-now.Sub(b.updated).Minutes()*perMinute)
	b.updated = now
	if b.level+1 > size {
		return false
	}
	b.level++
	return true
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, buckets: make(map[lineKey]*bucket)}
}

// admit reports whether a line with this key is allowed, and how many lines
// with the same key were dropped since the last one.
func (l *limits) admit(key lineKey) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxKeys {
			clear(l.buckets)
		}
		b = &bucket{updated: now}
		l.buckets[key] = b
	}
	if !b.take(now, keyBurst, 1) || !l.total.take(now) {
		b.omitted++
		return 0, false
	}
	omitted, b.omitted = b.omitted, 0
	return omitted, true
}

// Handle implements [slog.Handler].
func (h limitedHandler) Handle(ctx context.Context, r slog.Record) error {
	omitted, ok := h.limits.admit(lineKey{r.Level, r.Message})
	if !ok {
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler]. The result shares the limits of h.
func (h limitedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limitedHandler{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup implements [slog.Handler]. The result shares the limits of h.
func (h limitedHandler) WithGroup(name string) slog.Handler {
	return limitedHandler{h.Handler.WithGroup(name), h.limits}
}
