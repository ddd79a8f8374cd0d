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
// that different names stay different. A short one that looks as if it were cut
// is cut as well, lest somebody compute another's and move in.
func groupName(name string) string {
	label := processName(name)
	if len(label) <= maxGroupName && !looksCut(label) {
		return label
	}
	sum := sha256.Sum256([]byte(name))
	tail := cutMark + hex.EncodeToString(sum[:hashBytes])
	end := min(len(label), maxGroupName-len(tail))
	for end < len(label) && !utf8.RuneStart(label[end]) {
		end--
	}
	return label[:end] + tail
}

// The end of a label that was cut. With 16 bytes of the hash nobody finds two
// names that share it.
const (
	cutMark   = "~"
	hashBytes = 16
)

// looksCut reports whether label could be the beginning of a longer one, with
// the hash of that.
func looksCut(label string) bool {
	at := len(label) - len(cutMark) - 2*hashBytes
	if len(label) <= maxGroupName-utf8.UTFMax || label[at:at+len(cutMark)] != cutMark {
		return false
	}
	for _, c := range []byte(label[at+len(cutMark):]) {
		if strings.IndexByte(hexDigits, c) < 0 {
			return false
		}
	}
	return true
}

// processName returns the label value that stands for a name which anybody may
// choose: that of [OtherName] is written as if its first byte were no text.
func processName(name string) string {
	if name == OtherName {
		return string(utf8.RuneError) + "5f" + name[1:]
	}
	return ValidLabel(name)
}
