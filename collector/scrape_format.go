package collector

import (
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/common/expfmt"
)

// textV1 is the text format of Prometheus 1.0.0. It differs from 0.0.4 in names with
// other characters than letters, digits, _ and :, which no metric has.
const textV1 expfmt.Format = "text/plain; version=1.0.0; charset=utf-8"

// acceptedFormats are the formats of a scrape. A client that accepts several equally gets
// the first one.
var acceptedFormats = []expfmt.Format{
	expfmt.FmtProtoDelim, expfmt.FmtProtoText, expfmt.FmtProtoCompact,
	expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1,
	expfmt.FmtText, textV1, // FmtText before textV1: clients that accept none of these get it
}

// A scrapeFormat is the format of the response to a scrape.
type scrapeFormat struct {
	contentType expfmt.Format
	created     bool // OpenMetrics with a line _created for each counter
}

// formatOf returns the format that the Accept header h selects, as text for the key of a
// coalesced request. It has few distinct values.
func formatOf(h http.Header) string {
	f := negotiate(h)
	if f.created {
		return string(f.contentType) + "; created"
	}
	return string(f.contentType)
}

// negotiate returns the format that the Accept header h selects. Prometheus without start
// timestamps stores the lines _created as further series, and prefers OpenMetrics to
// text/plain. So only clients that do not accept text/plain get these lines.
func negotiate(h http.Header) scrapeFormat {
	f := scrapeFormat{contentType: expfmt.NegotiateAccept(h, acceptedFormats...)}
	f.created = f.contentType.FormatType() == expfmt.TypeOpenMetrics && !acceptsPlainText(h)
	return f
}

// acceptsPlainText reports whether the Accept header h lists text/plain.
func acceptsPlainText(h http.Header) bool {
	for element := range strings.SplitSeq(h.Get("Accept"), ",") {
		mediaType, _, _ := strings.Cut(element, ";")
		if strings.EqualFold(strings.TrimSpace(mediaType), "text/plain") {
			return true
		}
	}
	return false
}

// text returns the format of text, or false for protobuf.
func (f scrapeFormat) text() (TextFormat, bool) {
	switch mediaType, _, _ := strings.Cut(string(f.contentType), ";"); {
	case f.created:
		return OpenMetricsCreated, true
	case mediaType == expfmt.OpenMetricsType:
		return OpenMetrics, true
	case mediaType == "text/plain":
		return PlainText, true
	}
	return 0, false
}

// encoder returns the encoder of the metrics that the client library gathers.
func (f scrapeFormat) encoder(out io.Writer) expfmt.Encoder {
	switch text, ok := f.text(); {
	case ok && text == PlainText:
		return expfmt.NewEncoder(out, expfmt.FmtText) // NewEncoder has no version 1.0.0
	case f.created:
		return expfmt.NewEncoder(out, f.contentType, expfmt.WithCreatedLines())
	}
	return expfmt.NewEncoder(out, f.contentType)
}
