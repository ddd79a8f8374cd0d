// Package redact removes secrets from command lines.
//
// Every user of a machine can read the command line of every process. Metrics
// reach more people: they are stored in databases and shown on dashboards. Parts
// of a command line that become part of a metric pass through this package.
package redact

import (
	"regexp"
	"strings"
)

// Mask replaces a secret.
const Mask = "***"

// secretKey matches a key whose value is a secret, such as password, DB_PASS,
// AWS_SECRET_ACCESS_KEY or keyStorePassword. It does not match the key of a file
// that holds a secret, such as token-file.
const secretKey = `[a-z0-9_.-]*(?:passw(?:or)?ds?|passphrases?|[a-z0-9][_.-]pwd|secrets?|token|credentials?|` +
	`(?:api|access|private|auth|account)[_.-]?keys?)(?:[_.-](?:key|base|hash|string|value|[0-9]+))*|` +
	`(?:[a-z0-9_.-]*[_.-]|require|store|key|root|user|db)?pass`

var (
	// secretPrefix matches the text before a secret: a key and a separator, or a
	// flag and white space. Its groups are the quote of a key, the flag, and the quote of
	// authorization.
	secretPrefix = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_.-])(?:` +
		`(?:` + secretKey + `)(["']?)(?:=|:\s*)|(--?(?:` + secretKey + `))\s+|` +
		`(?:authorization(["']?)(?:=|:\s*))(?:(?:bearer|basic|digest|token)\s+)?|bearer\s+)`)

	// urlCredentials matches user and password of a URL. A user without a password is
	// redacted in HTTP URLs only, where it may be a token. A password may contain a
	// slash, but digits between a colon and a slash are a port.
	urlCredentials = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)` +
		`(?:[^/\s@:]*:[^/\s]*@|[^/\s@:]*:(?:[0-9]*[^0-9/\s@][^\s@]*)@)|(https?://)[^/\s@:]+@`)
)

const (
	whitespace       = " \t\n\f\r"
	nestedSeparators = `,;&"'}])` // end a value in a URL, a list or JSON
)

// Secrets returns text with every secret that it recognizes replaced by [Mask].
// It recognizes the values of keys such as password and API_KEY, authorization
// headers, and the credentials of URLs.
func Secrets(text string) string {
	if strings.ContainsAny(text, "=: ") { // most texts contain none of them
		text = redactValues(text)
	}
	if strings.Contains(text, "://") {
		text = urlCredentials.ReplaceAllString(text, "${1}${2}"+Mask+"@")
	}
	return text
}

// redactValues replaces the value after every match of secretPrefix.
func redactValues(text string) string {
	var out strings.Builder
	for {
		at := secretPrefix.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		prefix, value := text[:at[1]], text[at[1]:]
		separators := ""
		if at[2] < at[3] || at[6] < at[7] || strings.IndexByte(`?&;,{[("'`, text[at[0]]) >= 0 {
			separators = nestedSeparators
		}
		n := valueLen(value, separators)
		if at[4] >= 0 && (strings.HasPrefix(value, "-") || strings.HasPrefix(text[at[4]:], "--no-")) {
			n = 0 // a flag without a value, followed by another flag
		}
		out.WriteString(prefix)
		if n > 0 {
			out.WriteString(Mask)
		}
		text = value[n:]
	}
	if out.Len() == 0 {
		return text
	}
	out.WriteString(text)
	return out.String()
}

// valueLen returns the length of the value at the beginning of text. The value ends
// at white space or at one of separators. Quotes include these characters in the
// value.
func valueLen(text, separators string) int {
	n, ends, quoted := 0, whitespace, strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "'")
	if quoted {
		n = quotedLen(text)
	}
	if n > 0 || !quoted {
		ends += separators
	}
	if end := strings.IndexAny(text[n:], ends); end >= 0 {
		return n + end
	}
	return len(text)
}

// quotedLen returns the length of the quoted string at the beginning of text,
// including its quotes, or 0 if the closing quote is missing.
func quotedLen(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return 0
}
