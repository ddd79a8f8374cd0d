package grouping

import (
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// ValidLabel returns the label value that stands for name. Label values must be
// UTF-8, but any local user can call a process by any bytes.
//
// A name in UTF-8 stays as it is. Otherwise each byte that is no part of UTF-8
// becomes U+FFFD followed by the byte in two hexadecimal digits. So do the
// bytes of a U+FFFD that was in the name already, or else two names could share
// one label and one user's process could hide in another's group.
func ValidLabel(name string) string {
	if utf8.ValidString(name) && !strings.ContainsRune(name, utf8.RuneError) {
		return name
	}
	var out strings.Builder
	out.Grow(len(name) + 16)
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r != utf8.RuneError {
			out.WriteString(name[:size])
			name = name[size:]
			continue
		}
		for _, b := range []byte(name[:size]) {
			out.WriteRune(utf8.RuneError)
			out.WriteByte(hexDigits[b>>4])
			out.WriteByte(hexDigits[b&15])
		}
		name = name[size:]
	}
	return out.String()
}
