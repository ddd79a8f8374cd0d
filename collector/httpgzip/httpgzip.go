// Package httpgzip negotiates and writes gzip-encoded HTTP responses.
//
// It holds the only Accept-Encoding negotiation and the only pool of gzip
// writers of the exporter. It imports no other package of this module.
package httpgzip

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Encoding is the value of Content-Encoding for a response written by a [Writer].
const Encoding = "gzip"

// Accepted reports whether a response to a request with header h may be, and
// should be, encoded with gzip. It follows RFC 9110, section 12.5.3: names are
// case-insensitive, q=0 excludes an encoding, and "*" matches each encoding that
// is not listed. If the client prefers identity to gzip, Accepted returns false.
//
// Without the header Accepted returns false: such clients are often unable to
// decode gzip. An element with an invalid weight is treated as q=0.
func Accepted(h http.Header) bool {
	const unlisted = -1
	gzipped, identity, wildcard := float64(unlisted), float64(unlisted), float64(unlisted)
	for _, header := range h.Values("Accept-Encoding") {
		for element := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(element, ";")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				gzipped = max(gzipped, weight(params))
			case strings.EqualFold(name, "identity"):
				identity = max(identity, weight(params))
			case name == "*":
				wildcard = max(wildcard, weight(params))
			}
		}
	}
	if gzipped == unlisted {
		gzipped = wildcard
	}
	return gzipped > 0 && gzipped >= identity
}

// weight returns the q parameter in params, the text after the name of an
// element of Accept-Encoding. It returns 1 if there is none, and 0 if it is not
// a number from 0 to 1.
func weight(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) { // the negation covers NaN
			return 0
		}
		return q
	}
	return 1
}

// pool holds idle compressors, because each has a state of about 800 KB.
// BestSpeed makes a scrape response about 10 % larger than the default level
// and saves a third of the CPU time of a scrape.
var pool = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // BestSpeed is a valid level
	}
	return z
}}

// A Writer compresses what is written to it. Its compressor comes from a pool,
// to which Close returns it.
type Writer struct {
	z *gzip.Writer // nil after Close
}

// NewWriter returns a Writer that writes compressed data to w. The caller must
// call Close.
func NewWriter(w io.Writer) *Writer {
	z := pool.Get().(*gzip.Writer)
	z.Reset(w)
	return &Writer{z}
}

// Write implements [io.Writer]. After Close it returns [io.ErrClosedPipe].
func (w *Writer) Write(p []byte) (int, error) {
	if w.z == nil {
		return 0, io.ErrClosedPipe
	}
	return w.z.Write(p)
}

// Close writes the remaining data and the gzip trailer. It does not close the
// underlying writer. Further calls have no effect.
func (w *Writer) Close() error {
	z := w.z
	if z == nil {
		return nil
	}
	w.z = nil
	err := z.Close()
	z.Reset(nil) // the pool must not keep the underlying writer alive
	pool.Put(z)
	return err
}
