package grouping

import (
	"regexp"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/expression"
)

// typographicQuotes are characters that word processors insert instead of ' and ".
const typographicQuotes = "\u2018\u2019\u201c\u201d"

// itemHint returns why an item of a selector that compares text probably matches no
// process, or "".
func itemHint(key, item string) string {
	switch {
	case strings.ContainsAny(item, typographicQuotes):
		return "contains a typographic quote; write ' or \" instead"
	case key == "cmdline" || key == "cgroup":
		return globHint(item)
	case key == "exe_path" || key == "unit":
		return patternHint(item)
	case key != "comm" && key != "exe" && key != "ancestor" && key != "user":
		return ""
	case strings.Contains(item, ".*"), strings.Contains(item, ".+"), strings.HasPrefix(item, "^"), strings.HasSuffix(item, "$"):
		return "looks like a regular expression, but is compared literally; use cmdline for regular expressions"
	case key != "exe" && strings.HasSuffix(item, "*"):
		return "looks like a shell pattern, but is compared literally; use cmdline: '^NAME', or exe_path for shell patterns"
	}
	return ""
}

// shellPattern matches a * where shell patterns have one and regular expressions rarely: after a
// separator and before other text, or between a name and its extension.
var shellPattern = regexp.MustCompile(`(?:^|[^\\])[/_-]\*[^|)$]|(?:^|[^\\])[A-Za-z0-9]\*\.[A-Za-z]`)

// globHint returns why a regular expression probably means a shell pattern, or "".
func globHint(item string) string {
	if !shellPattern.MatchString(item) {
		return ""
	}
	return "looks like a shell pattern, but * repeats the character before it; write .* for any text, or use exe_path for shell patterns"
}

// patternHint returns why a shell pattern probably means a regular expression, or "".
func patternHint(item string) string {
	switch {
	case strings.Contains(item, ".*"), strings.Contains(item, ".+"), strings.HasPrefix(item, "^"), strings.HasSuffix(item, "$"):
		return "looks like a regular expression, but is a shell pattern; write * for any text without a slash"
	}
	return ""
}

// expressionHint returns why an expression does not match any of the values, or "".
func expressionHint(expressions []*expression.Expression, values []string) string {
	for _, x := range expressions {
		for _, value := range values {
			if strings.Contains(value, x.String()) && !x.Match(value) {
				return "the text contains the expression literally; escape it: '" + regexp.QuoteMeta(x.String()) + "'"
			}
		}
	}
	return ""
}
