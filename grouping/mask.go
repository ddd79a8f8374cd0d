package grouping

import (
	"regexp"
	"strings"
)

// Passwords stand on command lines, where every user of the machine may read them,
// but metrics go further: into databases, onto dashboards, to other people. So the
// parts of a command line that go into a name are shown without what can be told to
// be one.
const masked = "***"

// secretKey is a word that calls what follows a secret, such as password, DB_PASS,
// AWS_SECRET_ACCESS_KEY or keyStorePassword. That of a file with one is none.
const secretKey = `[a-z0-9_.-]*(?:passw(?:or)?ds?|passphrases?|[a-z0-9][_.-]pwd|secrets?|token|credentials?|(?:api|access|private|auth|account)[_.-]?keys?)(?:[_.-](?:key|base|hash|string|value|[0-9]+))*|(?:[a-z0-9_.-]*[_.-]|require|store|key|root|user|db)?pass`

var (
	// secretHead is what stands before a secret: a key and a sign, or a flag and a
	// blank. Its groups are the quote of a key, and the flag.
	secretHead = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_.-])(?:` +
		`(?:` + secretKey + `)(["']?)(?:=|:\s*)|(--?(?:` + secretKey + `))\s+|` +
		`(?:authorization(["']?)(?:=|:\s*))(?:(?:bearer|basic|digest|token)\s+)?|bearer\s+)`)

	// The password of a URL goes with its user, and who needs none may be a token. A
	// slash may be in a password, and a colon before a port.
	userOfURL = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)(?:[^/\s@:]*:[^/\s]*@|[^/\s@:]*:(?:[0-9]*[^0-9/\s@][^\s@]*)@)|(https?://)[^/\s@:]+@`)
)

const blanks = " \t\n\f\r"

// maskSecrets returns a part of a command line without what can be told to be a
// secret.
func maskSecrets(text string) string {
	if strings.ContainsAny(text, "=: ") { // most have none of them
		text = maskValues(text)
	}
	if strings.Contains(text, "://") {
		text = userOfURL.ReplaceAllString(text, "${1}${2}"+masked+"@")
	}
	return text
}

// maskValues masks what stands behind words that call it a secret.
func maskValues(text string) string {
	var out strings.Builder
	for {
		at := secretHead.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		head, value := text[:at[1]], text[at[1]:]
		within := at[2] < at[3] || at[6] < at[7] || strings.IndexByte(`?&;,{[("'`, text[at[0]]) >= 0
		n := valueLen(value, within)
		if at[4] >= 0 && (strings.HasPrefix(value, "-") || strings.HasPrefix(text[at[4]:], "--no-")) {
			n = 0 // a flag that takes no value, and then another
		}
		out.WriteString(head)
		if n > 0 {
			out.WriteString(masked)
		}
		text = value[n:]
	}
	if out.Len() == 0 {
		return text
	}
	out.WriteString(text)
	return out.String()
}

// valueLen returns how long the value is that text begins with: up to a blank, or,
// within a URL, a list or JSON, to what ends it there. Quotes hold it together.
func valueLen(text string, within bool) int {
	n, ends, quoted := 0, blanks, strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "'")
	if quoted {
		n = quotedLen(text)
	}
	if within && (n > 0 || !quoted) {
		ends += `,;&"'}])`
	}
	if end := strings.IndexAny(text[n:], ends); end >= 0 {
		return n + end
	}
	return len(text)
}

// quotedLen returns how long the quoted text is that text begins with, 0 if its
// quote does not end.
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
