package collector

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/seed57308aee/process_exporter/grouping"
)

// RequestedCollectors returns the collectors whose metrics a scrape with this query wants:
// those of the parameters collect[], or all but those of exclude[], or all. enabled are the
// collectors that flags or rules enable. As in node_exporter, it is an error to use both
// parameters, or collect[] with a collector that is not enabled. The misspelled parameters
// collect and exclude are errors too.
func RequestedCollectors(query url.Values, enabled grouping.CollectorSet) (grouping.CollectorSet, error) {
	for _, name := range []string{"collect", "exclude"} {
		if query.Has(name) {
			return 0, fmt.Errorf("unknown parameter %s; did you mean %[1]s[]?", name)
		}
	}
	collect, exclude := query["collect[]"], query["exclude[]"]
	if len(collect) > 0 && len(exclude) > 0 {
		return 0, errors.New("collect[] and exclude[] exclude each other; use one of them")
	}
	included, err := parseCollectors(collect)
	if err != nil {
		return 0, err
	}
	excluded, err := parseCollectors(exclude)
	if err != nil {
		return 0, err
	}
	if disabled := included &^ enabled; disabled != 0 {
		return 0, fmt.Errorf("disabled collector %s; start the exporter with --collector.%[1]s", disabled.Names()[0])
	}
	if len(collect) == 0 {
		included = grouping.AllCollectors
	}
	return included &^ excluded, nil
}

func parseCollectors(names []string) (set grouping.CollectorSet, err error) {
	for _, name := range names {
		c, err := grouping.ParseCollector(name)
		if err != nil {
			return 0, err
		}
		set |= c
	}
	return set, nil
}

// VariantOf returns the format and the collectors that a valid request selects. Requests
// with equal variants have equal responses.
func VariantOf(r *http.Request) string {
	only, err := RequestedCollectors(r.URL.Query(), grouping.AllCollectors)
	if err != nil {
		return "invalid"
	}
	return formatOf(r.Header) + " " + strconv.FormatUint(uint64(only), 16)
}
