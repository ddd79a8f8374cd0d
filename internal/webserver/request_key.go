package webserver

import (
	"math/bits"
	"net/http"
	"time"

	"github.com/seed57308aee/process_exporter/collector/httpgzip"
)

// A requestKey holds everything that a response depends on. It has few distinct
// values, so that clients cannot defeat coalescing by varying their headers.
type requestKey struct {
	variant string // the result of CoalescerOptions.Variant
	gzip    bool
	timeout time.Duration // rounded down by roundDown
}

func newRequestKey(variant string, h http.Header) requestKey {
	return requestKey{variant: variant, gzip: httpgzip.Accepted(h), timeout: roundDown(scrapeTimeout(h))}
}

// roundDown keeps the three most significant bits of d. This leaves few distinct
// values and reduces d by less than a fifth.
func roundDown(d time.Duration) time.Duration {
	shift := max(0, bits.Len64(uint64(d))-3)
	return d >> shift << shift
}
