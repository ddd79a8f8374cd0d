package webserver

import (
	"math"
	"math/bits"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/internal/httpgzip"
)

// asked is all that an answer depends on. It has few values, so that clients
// cannot keep the exporter busy by each asking a little differently.
type asked struct {
	format   expfmt.Format
	gzip     bool
	deadline time.Duration
}

func newAsked(h http.Header) asked {
	return asked{format: FormatOf(h), gzip: httpgzip.Accepted(h), deadline: roundDown(deadlineOf(h))}
}

// roundDown cuts d behind its first three binary digits, so that there are few
// different ones, and none loses more than a fifth of its time.
func roundDown(d time.Duration) time.Duration {
	rest := max(0, bits.Len64(uint64(d))-3)
	return d >> rest << rest
}

// FormatOf returns the format that a client asks for.
func FormatOf(h http.Header) expfmt.Format {
	return expfmt.NegotiateAccept(h, expfmt.DefaultAcceptedFormats()...)
}

// TimeoutHeader is the one in which Prometheus says how many seconds it waits.
const TimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// MaxDeadline is how long an answer may take to be put together. Whoever waits
// longer has one by then, if a partial one.
const MaxDeadline = 10 * time.Second

const (
	defaultDeadline = 10 * time.Second       // as long as Prometheus waits unless told otherwise
	networkTime     = 500 * time.Millisecond // left for the answer's way back
	leastTimeout    = 0.1                    // seconds; nobody who wants an answer waits for less
)

// deadlineOf returns how long a scrape may take: what its sender says it
// waits, less the time that the answer needs on its way. A header that makes
// no sense counts as none.
func deadlineOf(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get(TimeoutHeader), 64)
	if err != nil || math.IsNaN(seconds) || seconds < leastTimeout {
		return defaultDeadline
	}
	// Twice the most, so that the time for the way back comes off what was sent.
	timeout := time.Duration(min(seconds, 2*MaxDeadline.Seconds()) * float64(time.Second))
	return min(max(timeout-networkTime, timeout/2), MaxDeadline)
}
