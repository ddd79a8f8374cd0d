package grouping

import (
	"regexp"
	"strings"
)

// Passwords stand on command lines, where every user of the machine may read them,
// but metrics go further: into databases, onto dashboards, to other people. So a
// name that a rule makes of a command line shows none that can be told as such.
const masked = "***"

// secretKey is a word that calls what follows a secret, such as password,
// AWS_SECRET_ACCESS_KEY or keyStorePassword. That of a file with one is none.
const secretKey = `[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|(?:api|access|private|auth|account)[_.-]?key)s?(?:[_.-](?:key|base|hash|string|value|[0-9]+))*`

var (
	// The value may come behind a blank only where the word is a flag.
	secretWord = regexp.MustCompile(`(?i)((?:^|[^a-z0-9_.-])(?:` + secretKey + `["']?[=:]\s*|--?` + secretKey + `\s+))("[^"]*"|'[^']*'|[^\s,;&"']+)`)

	// The password of a URL goes with its user.
	userOfURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]*:[^/\s]*@`)
)

// maskSecrets returns name without what can be told to be a secret.
func maskSecrets(name string) string {
	if strings.ContainsAny(name, "=: ") { // most names have none of them
		name = secretWord.ReplaceAllString(name, "${1}"+masked)
	}
	if strings.Contains(name, "://") {
		name = userOfURL.ReplaceAllString(name, "${1}"+masked+"@")
	}
	return name
}
