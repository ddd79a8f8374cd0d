package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxKindBurst is how many lines of one kind may come at once; after that
	// there is one a minute.
	maxKindBurst = 20

	// maxLinesPerMinute bounds lines of all kinds, in any minute.
	maxLinesPerMinute = 60

	// maxKinds bounds the memory for them. There are some tens in the program.
	maxKinds = 256
)

// A limitedHandler keeps whatever goes on for ever from filling the disk with
// what it has to say. A kind of line is its level and its message, without what
// stands behind. The next line of a kind tells how many were left out.
type limitedHandler struct {
	slog.Handler
	limits *logLimits
}

type logLimits struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	all   window
	kinds map[kind]*bucket
}

type kind struct {
	level   slog.Level
	message string
}

// A window admits so many lines in any minute.
type window struct {
	at   [maxLinesPerMinute]time.Time // of the last ones, the zero time before there were so many
	next int                          // the oldest of them
}

// take reports whether there is room for another line.
func (w *window) take(now time.Time) bool {
	oldest := &w.at[w.next]
	if !oldest.IsZero() && now.Sub(*oldest) < time.Minute {
		return false
	}
	*oldest = now
	w.next = (w.next + 1) % len(w.at)
	return true
}

// A bucket has room for some lines of one kind and regains it as time passes.
type bucket struct {
	level   float64
	at      time.Time
	omitted int
}

func newLogLimits(now func() time.Time) *logLimits {
	return &logLimits{now: now, kinds: make(map[kind]*bucket)}
}

// take reports whether there is room for another line.
func (b *bucket) take(now time.Time, size, perMinute float64) bool {
	b.level = max(0, b.level-now.Sub(b.at).Minutes()*perMinute)
	b.at = now
	if b.level+1 > size {
		return false
	}
	b.level++
	return true
}

// admit reports whether a line of kind k may be written, and how many of it
// were left out before.
func (l *logLimits) admit(k kind) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.kinds[k]
	if b == nil {
		if len(l.kinds) >= maxKinds {
			clear(l.kinds)
		}
		b = &bucket{at: now}
		l.kinds[k] = b
	}
	if !b.take(now, maxKindBurst, 1) || !l.all.take(now) {
		b.omitted++
		return 0, false
	}
	omitted, b.omitted = b.omitted, 0
	return omitted, true
}

// Handle implements [slog.Handler], as the next two do.
func (h limitedHandler) Handle(ctx context.Context, r slog.Record) error {
	omitted, ok := h.limits.admit(kind{r.Level, r.Message})
	if !ok {
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the limits.
func (h limitedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return limitedHandler{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup keeps the limits.
func (h limitedHandler) WithGroup(name string) slog.Handler {
	return limitedHandler{h.Handler.WithGroup(name), h.limits}
}
