package webserver

import (
	"math"
	"math/bits"
	"net/http"
	"strconv"
	"time"

	"github.com/seed57308aee/process_exporter/internal/httpgzip"
)

// A requestKey holds everything that a response depends on. It has few distinct
// values, so that clients cannot defeat coalescing by varying their headers.
type requestKey struct {
	variant  string // the result of CoalescerOptions.Variant
	gzip     bool
	deadline time.Duration // rounded down by roundDown
}

func newRequestKey(variant string, h http.Header) requestKey {
	return requestKey{variant: variant, gzip: httpgzip.Accepted(h), deadline: roundDown(scrapeTimeout(h))}
}

// roundDown keeps the three most significant bits of d. This leaves few distinct
// values and reduces d by less than a fifth.
func roundDown(d time.Duration) time.Duration {
	shift := max(0, bits.Len64(uint64(d))-3)
	return d >> shift << shift
}

// TimeoutHeader is the request header in which Prometheus sends its scrape
// timeout, in seconds.
const TimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// MaxDeadline is the maximum time for rendering a response. At the deadline a
// partial response is sent.
const MaxDeadline = 10 * time.Second

const (
	defaultTimeout  = 10 * time.Second       // the default scrape_timeout of Prometheus
	transferReserve = 500 * time.Millisecond // time for sending the response
	minTimeout      = 0.1                    // seconds; a smaller value is treated as invalid
)

// scrapeTimeout returns the time for rendering the response to a request with
// header h: the timeout of the client less the time for sending. It returns
// defaultTimeout if the header is missing or invalid.
func scrapeTimeout(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get(TimeoutHeader), 64)
	if err != nil || math.IsNaN(seconds) || seconds < minTimeout {
		return defaultTimeout
	}
	// The bound of twice the maximum prevents overflow. It is applied before the reserve is subtracted.
	timeout := time.Duration(min(seconds, 2*MaxDeadline.Seconds()) * float64(time.Second))
	return min(max(timeout-transferReserve, timeout/2), MaxDeadline)
}
