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
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "y_counter_total", Help: "A test."}))
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
	if format.FormatType() != expfmt.TypeProtoDelim {
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
	openMetrics := make([]string, len(want))
	for i, name := range want { // without the suffix of counters
		openMetrics[i] = strings.TrimSuffix(name, "_total")
	}
	if !slices.IsSorted(want) || want[0] != "a_first" || want[len(want)-1] != "z_last" || !slices.Contains(want, "namedprocess_namegroup_o") {
		t.Fatalf("got %v, want all families sorted by name", want)
	}
	accepted := []string{"text/plain", "text/plain;version=1.0.0", string(expfmt.FmtOpenMetrics_1_0_0), string(expfmt.FmtProtoDelim)}
	for _, accept := range accepted {
		for _, encoding := range []string{"", "gzip"} {
			want := want
			if strings.HasPrefix(accept, expfmt.OpenMetricsType) {
				want = openMetrics
			}
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

// TestNegotiate checks the format of a response, and that only clients that do not accept
// text/plain get the start times of counters in OpenMetrics.
func TestNegotiate(t *testing.T) {
	const (
		text        = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
		openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping="
		protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping="
	)
	prometheus3 := "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	for _, tt := range []struct{ accept, contentType, created string }{
		{"", text, ""},
		{"*/*", text, ""},
		{"text/plain", text, ""},
		{"text/html,application/xhtml+xml,*/*;q=0.8", text, ""},
		{"text/plain;version=0.0.4;q=0.3,*/*;q=0.2", text, ""},
		{"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3",
			"text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", ""},
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			openMetrics + "underscores", ""}, // Prometheus 2.42
		{prometheus3, openMetrics + "allow-utf-8", ""},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5", openMetrics + "allow-utf-8", "; created"},
		{"application/openmetrics-text; version=1.0.0", openMetrics + "underscores", "; created"},
		{"application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores", "; created"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + prometheus3,
			protobuf + "underscores", ""}, // with created-timestamp-zero-ingestion
	} {
		h := http.Header{"Accept": {tt.accept}}
		if got := formatOf(h); got != tt.contentType+tt.created {
			t.Errorf("Accept: %s\ngot  %s\nwant %s", tt.accept, got, tt.contentType+tt.created)
		}
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header = h
		w := httptest.NewRecorder()
		newTestHandler(t).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); got != tt.contentType {
			t.Errorf("Accept: %s\ngot  %s\nwant %s", tt.accept, got, tt.contentType)
		}
		if created := strings.Contains(w.Body.String(), "_created"); created != (tt.created != "") {
			t.Errorf("Accept: %s: got lines _created: %v", tt.accept, created)
		}
	}
}

// TestFormatOf checks that clients cannot select many different formats.
func TestFormatOf(t *testing.T) {
	formats := make(map[string]bool)
	for i := range 10_000 {
		h := http.Header{}
		h.Set("Accept", "text/plain;q=0."+time.Duration(i).String()[:1])
		formats[formatOf(h)] = true
	}
	if len(formats) > 8 {
		t.Errorf("got %d formats, want at most 8", len(formats))
	}
}
