package grouping

import (
	"crypto/sha256"
	"encoding/hex"
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

// OtherName is the group, and the thread name, of what finds no room for a name
// of its own.
const OtherName = "_other"

// Reserved are the names that no rule and no process can have.
var Reserved = []string{OtherName}

// maxGroupName is how many bytes of a name are kept. It is in every series of
// its group.
const maxGroupName = 1024

// groupName returns the group that name stands for: a valid label value that is
// not reserved. What is cut off from a long one is told by a hash behind it, so
// that different names stay different.
func groupName(name string) string {
	label := processName(name)
	if len(label) <= maxGroupName {
		return label
	}
	sum := sha256.Sum256([]byte(name))
	tail := "~" + hex.EncodeToString(sum[:8])
	end := maxGroupName - len(tail)
	for !utf8.RuneStart(label[end]) {
		end--
	}
	return label[:end] + tail
}

// processName returns the label value that stands for a name which anybody may
// choose: that of [OtherName] is written as if its first byte were no text.
func processName(name string) string {
	if name == OtherName {
		return string(utf8.RuneError) + "5f" + name[1:]
	}
	return ValidLabel(name)
}
