package daemon

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// The kinds of trouble that a scrape can have with one family.
const (
	whileGathering = "gathering"
	whileEncoding  = "encoding"
)

// newFailures returns the counter that the client library's own handler has.
func newFailures() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "promhttp_metric_handler_errors_total",
		Help: "Total number of internal errors encountered by the promhttp metric handler.",
	}, []string{"cause"})
	v.WithLabelValues(whileGathering)
	v.WithLabelValues(whileEncoding)
	return v
}

// compressors are kept, for each takes most of a megabyte. They work at the
// least cost: the answer is a tenth larger than at the usual one, and a third of
// the time of a scrape is saved.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

// render puts the answer to a scrape together, in the format that r asks for.
// Families are made and written one after the other, by name: all of them at
// once would take three times the memory of the answer. One that fails never
// hides the others.
func (x *exposition) render(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	format := webserver.FormatOf(r.Header)
	w.Header().Set("Content-Type", string(format))
	out := io.Writer(w)
	if r.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		z := compressors.Get().(*gzip.Writer)
		defer compressors.Put(z)
		z.Reset(w)
		defer func() { _ = z.Close() }() // w is memory
		out = z
	}
	enc := expfmt.NewEncoder(out, format)
	var own []*dto.MetricFamily
	write := func(mf *dto.MetricFamily) {
		if err := enc.Encode(mf); err != nil {
			x.trouble(whileEncoding, err)
		}
	}
	gather := sync.OnceFunc(func() { // after the walk, of which some tell
		var err error
		if own, err = x.own.Gather(); err != nil {
			x.trouble(whileGathering, err)
		}
	})
	ownBefore := func(name string) {
		gather()
		for len(own) > 0 && (own[0].GetName() < name || name == "") {
			write(own[0])
			own = own[1:]
		}
	}
	var err error
	if format.FormatType() == expfmt.TypeTextPlain {
		err = x.groups.StreamText(ctx, func(name string, lines []byte) error {
			ownBefore(name)
			_, err := out.Write(lines)
			return err
		})
	} else {
		err = x.groups.Stream(ctx, func(mf *dto.MetricFamily) error {
			ownBefore(mf.GetName())
			write(mf)
			return nil
		})
	}
	if err != nil {
		x.trouble(whileEncoding, err)
	}
	ownBefore("")
	if closer, ok := enc.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil { // some formats have a last line
			x.trouble(whileEncoding, err)
		}
	}
}

func (x *exposition) trouble(cause string, err error) {
	x.failed.WithLabelValues(cause).Inc()
	x.log.Error("A part of a scrape failed", "while", cause, "err", err)
}

// byName sorts families as scrapes show them.
func byName(families []*dto.MetricFamily) {
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
}
