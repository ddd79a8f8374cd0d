package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/webserver"
)

// slowGroups is a [collector.GroupGatherer] whose scrapes take until release is closed or
// their context ends.
type slowGroups struct {
	entered chan struct{}
	release chan struct{}
}

func (s slowGroups) EachFamily(ctx context.Context, _ grouping.CollectorSet, use func(*dto.MetricFamily) error) error {
	families, err := s.Gatherer(ctx).Gather()
	for _, mf := range families {
		err = errors.Join(err, use(mf))
	}
	return err
}

func (s slowGroups) EachText(
	ctx context.Context, only grouping.CollectorSet, _ collector.TextFormat, use func(string, []byte) error,
) error {
	return s.EachFamily(ctx, only, func(mf *dto.MetricFamily) error {
		var lines bytes.Buffer
		_, err := expfmt.MetricFamilyToText(&lines, mf)
		return errors.Join(err, use(mf.GetName(), lines.Bytes()))
	})
}

func (s slowGroups) Gatherer(ctx context.Context) prometheus.Gatherer {
	one := prometheus.NewGauge(prometheus.GaugeOpts{Name: "slow_seconds", Help: "Always one."})
	one.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(one)
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		s.entered <- struct{}{}
		select {
		case <-s.release:
		case <-ctx.Done():
		}
		return registry.Gather()
	})
}

func newSlow(t *testing.T, args ...string) (slowGroups, *metricsHandler) {
	t.Helper()
	groups := slowGroups{make(chan struct{}, 10), make(chan struct{})}
	return groups, newMetricsHandler(parse(t, args...), slog.New(slog.DiscardHandler), groups, nil, allCollectors)
}

func allCollectors() grouping.CollectorSet {
	return grouping.AllCollectors
}

func scrapeWith(h http.Handler, timeout string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set(webserver.TimeoutHeader, timeout)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request)
	return w
}

func TestMaxRequests(t *testing.T) {
	for _, tt := range []struct {
		name, flag string
		want       int
	}{
		{"over the limit", "-web.max-requests=1", http.StatusServiceUnavailable},
		{"below the limit", "-web.max-requests=2", http.StatusOK},
		{"no limit", "-web.max-requests=0", http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			groups, x := newSlow(t, tt.flag)
			first := make(chan *httptest.ResponseRecorder)
			go func() { first <- scrapeWith(x, "") }()
			<-groups.entered
			second := scrapeWith(x, "0.001")
			if second.Code != tt.want {
				t.Errorf("got status %d of a second scrape, want %d", second.Code, tt.want)
			}
			if retry := second.Header().Get("Retry-After"); (retry != "") != (tt.want == http.StatusServiceUnavailable) {
				t.Errorf("got Retry-After %q, want it only with status 503", retry)
			}
			close(groups.release)
			if w := <-first; w.Code != http.StatusOK {
				t.Errorf("got status %d of the first scrape, want 200", w.Code)
			}
			if w := scrapeWith(x, ""); w.Code != http.StatusOK {
				t.Errorf("got status %d of a scrape after both, want 200", w.Code)
			}
		})
	}
}

// TestDeadlineEndsScrape checks that the scrape timeout header limits a scrape. It
// hangs if the header does not reach the collector.
func TestDeadlineEndsScrape(t *testing.T) {
	_, x := newSlow(t)
	if w := scrapeWith(x, "0.001"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "slow_seconds 1") {
		t.Errorf("got %d, %s, want 200 and slow_seconds", w.Code, w.Body)
	}
}

// TestCountersHaveStartTimes checks that each counter about the exporter has a start time.
func TestCountersHaveStartTimes(t *testing.T) {
	groups, x := newSlow(t)
	close(groups.release)
	scrapeWith(x, "") // counts in promhttp_*
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	x.ServeHTTP(w, request)
	body, counters := w.Body.String(), 0
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (counter|summary)$`).FindAllStringSubmatch(body, -1) {
		counters++
		if !strings.Contains(body, "\n"+m[1]+"_created") {
			t.Errorf("got no start time of the %s %s", m[2], m[1])
		}
	}
	if counters < 5 {
		t.Errorf("got %d counters, want those of Go, the process and promhttp:\n%s", counters, body)
	}
}

func TestOwnMetrics(t *testing.T) {
	own := []string{"go_goroutines", "promhttp_metric_handler_requests_total", "promhttp_metric_handler_errors_total"}
	always := []string{"process_exporter_build_info{", "slow_seconds"}
	for _, tt := range []struct {
		name    string
		args    []string
		present bool
	}{
		{"on", nil, true},
		{"off", []string{"-web.disable-exporter-metrics"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			groups, x := newSlow(t, tt.args...)
			close(groups.release)
			body := scrapeWith(x, "").Body.String()
			for _, name := range own {
				if strings.Contains(body, "\n"+name) != tt.present {
					t.Errorf("got %s in the response: %v, want %v", name, !tt.present, tt.present)
				}
			}
			for _, name := range always {
				if !strings.Contains(body, "\n"+name) {
					t.Errorf("got no %s in the response, want it", name)
				}
			}
		})
	}
}
