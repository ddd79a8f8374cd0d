package webserver

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// TimeoutHeader is the request header in which Prometheus sends its scrape
// timeout, in seconds.
const TimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// MaxRenderTime is the maximum time for rendering a response. At the deadline a
// partial response is sent.
const MaxRenderTime = 10 * time.Second

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
	timeout := time.Duration(min(seconds, 2*MaxRenderTime.Seconds()) * float64(time.Second))
	return min(max(timeout-transferReserve, timeout/2), MaxRenderTime)
}
