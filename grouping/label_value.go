package grouping

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// LabelValue returns name as a valid label value. Label values must be UTF-8, but any
// local user can give a process a name of arbitrary bytes.
//
// Valid UTF-8 is unchanged. Each byte that is not part of valid UTF-8 becomes U+FFFD
// followed by the byte in two hexadecimal digits. The bytes of a U+FFFD in the name are
// escaped as well. Otherwise two names could share one label value, and the process of
// one user could hide in the group of another.
func LabelValue(name string) string {
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

// OtherName is the group of processes above a group limit, and the name of threads above
// the thread name limit.
const OtherName = "_other"

// ReservedNames are group names that no rule and no process can use.
var ReservedNames = []string{OtherName}

// maxGroupName limits a group name, in bytes. Every series of the group contains it.
const maxGroupName = 1024

// groupName returns name as a group name: a valid label value that is not reserved. It
// truncates a long name and appends a hash of the whole name, so that different names
// stay different. It also truncates a name within the limit that looks truncated. Otherwise
// a user could compute the truncated form of another name and join its group.
func groupName(name string) string {
	label := processName(name)
	if len(label) <= maxGroupName && !looksTruncated(label) {
		return label
	}
	sum := sha256.Sum256([]byte(name))
	tail := hashSeparator + hex.EncodeToString(sum[:hashBytes])
	end := min(len(label), maxGroupName-len(tail))
	for end < len(label) && !utf8.RuneStart(label[end]) {
		end--
	}
	return label[:end] + tail
}

// The end of a truncated name. With 16 bytes of the hash it is infeasible to find two
// names with the same one.
const (
	hashSeparator = "~"
	hashBytes     = 16
)

// looksTruncated reports whether label has the form of a truncated name.
func looksTruncated(label string) bool {
	at := len(label) - len(hashSeparator) - 2*hashBytes
	if len(label) <= maxGroupName-utf8.UTFMax || label[at:at+len(hashSeparator)] != hashSeparator {
		return false
	}
	for _, c := range []byte(label[at+len(hashSeparator):]) {
		if strings.IndexByte(hexDigits, c) < 0 {
			return false
		}
	}
	return true
}

// processName returns the label value of a name that a user chose. It escapes the first
// byte of [OtherName].
func processName(name string) string {
	if name == OtherName {
		return string(utf8.RuneError) + "5f" + name[1:]
	}
	return LabelValue(name)
}
