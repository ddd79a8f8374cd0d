package procfs

import "strings"

// AppendArgsOrTitle appends to dst the words that the text of a cmdline file holds.
// Unlike [AppendArgs] it keeps empty arguments at the end. A process that wrote
// a title over its arguments may have left no NUL behind it: the title is then
// split at its spaces. The words are copies that share one allocation.
func AppendArgsOrTitle(dst []string, text []byte) []string {
	if len(text) == 0 {
		return dst
	}
	separator := "\x00"
	if text[len(text)-1] != 0 {
		separator = " "
	}
	for word := range strings.SplitSeq(strings.TrimSuffix(string(text), separator), separator) {
		dst = append(dst, word)
	}
	return dst
}
