package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestReadErrorIs(t *testing.T) {
	tests := []struct {
		name         string
		file         string
		err          error
		gone, denied bool
	}{
		{"stat no process", "stat", syscall.ESRCH, true, false},
		{"stat no entry", "stat", syscall.ENOENT, true, false},
		{"directory no entry", "", syscall.ENOENT, true, false},
		{"io no process", "io", syscall.ESRCH, true, false},
		{"io no entry", "io", syscall.ENOENT, false, false},
		{"thread no entry", "task/7/stat", syscall.ENOENT, false, false},
		{"io no access", "io", syscall.EACCES, false, true},
		{"io no permission", "io", syscall.EPERM, false, true},
		{"stat no access", "stat", syscall.EACCES, false, true},
		{"no memory", "stat", syscall.ENOMEM, false, false},
		{"wrapped by os", "stat", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, true, false},
		{"wrapped by os, denied", "io", os.NewSyscallError("read", syscall.EACCES), false, true},
		{"no errno", "stat", errors.New("x"), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("walk: %w", &ReadError{PID: 7, File: tt.file, Err: tt.err})
			if got := errors.Is(err, ErrGone); got != tt.gone {
				t.Errorf("got gone %v, want %v", got, tt.gone)
			}
			if got := errors.Is(err, ErrAccessDenied); got != tt.denied {
				t.Errorf("got denied %v, want %v", got, tt.denied)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("got %v, want an error that wraps %v", err, tt.err)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"file", &ReadError{7, "io", errors.New("x")}, "procfs: read 7/io: x"},
		{"directory", &ReadError{7, "", errors.New("x")}, "procfs: read 7: x"},
		{"parse", &ParseError{"stat", "ppid", "a\nb"}, `procfs: parse stat, field "ppid": unexpected text "a\nb"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseErrorTruncatesText(t *testing.T) {
	text := []byte(strings.Repeat("a", 100))
	err := newParseError("io", "rchar", text)
	text[0] = 'b' // the buffer of the reader is reused
	if want := strings.Repeat("a", 64); err.Text != want {
		t.Errorf("got %q, want %q", err.Text, want)
	}
}
