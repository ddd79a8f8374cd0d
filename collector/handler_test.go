package collector

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// newTestHandler returns a Handler of one group and of metrics with names before,
// between and after those of groups.
func newTestHandler(t *testing.T) *Handler {
	t.Helper()
	w := newFixture(t, setup{config: groupG}, procfstree.Process{PID: 7, Comm: "g"})
	registry := prometheus.NewRegistry()
	for _, name := range []string{"a_first", "namedprocess_namegroup_o", "z_last"} {
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "A test."}))
	}
	return NewHandler(w.c, registry, slog.New(slog.DiscardHandler))
}

// scrapeNames returns the names of families in the response to a request with
// these headers, in their order.
func scrapeNames(t *testing.T, h http.Handler, accept, encoding string) []string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", encoding)
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	body := io.Reader(recorder.Body)
	if got := recorder.Header().Get("Content-Encoding"); got != encoding {
		t.Errorf("got Content-Encoding %q, want %q", got, encoding)
	}
	if encoding == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	format := expfmt.Format(recorder.Header().Get("Content-Type"))
	var names []string
	if format.FormatType() == expfmt.TypeTextPlain {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
				names = append(names, strings.Fields(rest)[0])
			}
		}
		return names
	}
	decoder := expfmt.NewDecoder(strings.NewReader(string(text)), format)
	for {
		mf := new(dto.MetricFamily)
		if err := decoder.Decode(mf); errors.Is(err, io.EOF) {
			return names
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, mf.GetName())
	}
}

// TestHandlerFormats checks that each format and encoding contains the same
// families, sorted by name.
func TestHandlerFormats(t *testing.T) {
	h := newTestHandler(t)
	want := scrapeNames(t, h, "text/plain", "")
	if !slices.IsSorted(want) || want[0] != "a_first" || want[len(want)-1] != "z_last" || !slices.Contains(want, "namedprocess_namegroup_o") {
		t.Fatalf("got %v, want all families sorted by name", want)
	}
	for _, accept := range []string{"text/plain", string(expfmt.NewFormat(expfmt.TypeProtoDelim))} {
		for _, encoding := range []string{"", "gzip"} {
			if got := scrapeNames(t, h, accept, encoding); !slices.Equal(got, want) {
				t.Errorf("%s %s: got %v, want %v", accept, encoding, got, want)
			}
		}
	}
}

// TestHandlerErrors checks that an error of the other gatherer is counted and
// does not affect the metrics of groups.
func TestHandlerErrors(t *testing.T) {
	h := newTestHandler(t)
	h.other = prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("test") })
	if got := scrapeNames(t, h, "text/plain", ""); !slices.Contains(got, namespace+"num_procs") {
		t.Errorf("got %v, want the metrics of groups", got)
	}
	var m dto.Metric
	if err := h.errors.WithLabelValues(causeGathering).Write(&m); err != nil || m.GetCounter().GetValue() != 1 {
		t.Errorf("got %v errors, %v, want 1", m.GetCounter().GetValue(), err)
	}
	if _, err := h.Gatherer(context.Background()).Gather(); err == nil {
		t.Error("got no error, want the one of the other gatherer")
	}
}

// TestFormatOf checks that clients cannot select many different formats.
func TestFormatOf(t *testing.T) {
	formats := make(map[string]bool)
	for i := range 10_000 {
		h := http.Header{}
		h.Set("Accept", "text/plain;q=0."+time.Duration(i).String()[:1])
		formats[FormatOf(h)] = true
	}
	if len(formats) > 8 {
		t.Errorf("got %d formats, want at most 8", len(formats))
	}
}
