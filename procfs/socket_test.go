package procfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

// formatAddr formats an address as the kernel does, in host byte order.
func formatAddr(a netip.AddrPort) string {
	text := ""
	raw := a.Addr().AsSlice()
	for ; len(raw) > 0; raw = raw[4:] {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(raw))
	}
	return text + fmt.Sprintf(":%04X", a.Port())
}

const inetHeading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func inetLine(local, remote netip.AddrPort, state string, inode uint64) string {
	return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 100 0 0 10 0\n",
		formatAddr(local), formatAddr(remote), state, inode)
}

func TestAppendInetSockets(t *testing.T) {
	at := netip.MustParseAddrPort
	v4, v6, mapped, none := at("127.0.0.1:22"), at("[fe80::1]:443"), at("[::ffff:1.2.3.4]:80"), at("0.0.0.0:0")
	good := inetLine(v4, none, "0A", 7)
	tests := []struct {
		name, text string
		want       []InetSocket
		bad        string
	}{
		{"empty", "", nil, "none"},
		{"heading only", inetHeading, nil, "none"},
		{"listens", inetHeading + good, []InetSocket{{Local: v4, Remote: none, State: 10, Inode: 7}}, "none"},
		{"IPv6", inetHeading + inetLine(v6, mapped, "01", 8), []InetSocket{{Local: v6, Remote: mapped, State: 1, Inode: 8}}, "none"},
		{"without a process", inetHeading + inetLine(v4, v4, "06", 0), nil, "none"},
		{"short address", inetHeading + "0: 0100007:0016 0:0 0A a b c d e 7\n", nil, "inode"},
		{"no inode", inetHeading + "0: 0100007F:0016 00000000:0000 0A\n", nil, "inode"},
		{"truncated", inetHeading + good + good[:len(good)-1], nil, "inode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendInetSockets(nil, []byte(tt.text))
			wantParseError(t, err, "net", tt.bad)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAppendUnixSockets(t *testing.T) {
	const heading = "Num       RefCount Protocol Flags    Type St Inode Path\n"
	const start = "0000000000000000: 00000002 00000000 00010000 "
	tests := []struct {
		name, text string
		want       []UnixSocket
	}{
		{"heading only", heading, nil},
		{"named", heading + start + "0001 01 1672 /run/a\n", []UnixSocket{{1, 1672, "/run/a"}}},
		{"no name", heading + start + "0005 03  1673\n", []UnixSocket{{5, 1673, ""}}},
		{"abstract", heading + start + "0002 01 9 @a@b\n", []UnixSocket{{2, 9, "@a@b"}}},
		{"blanks in the name", heading + start + "0001 01 9 /run/a b  c \n", []UnixSocket{{1, 9, "/run/a b  c "}}},
		{"newline in the name", heading + start + "0001 01 9 /a\nb: c\n" + start + "0001 01 10\n",
			[]UnixSocket{{1, 9, "/a"}, {1, 10, ""}}},
		{"malformed", heading + "garbage\n", nil},
		{"truncated", heading + start + "0001 01 16", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := AppendUnixSockets(nil, []byte(tt.text)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// fixtureLines returns the lines of a fixture after its header.
func fixtureLines(t testing.TB, name string) [][]byte {
	t.Helper()
	lines := bytes.Split(bytes.TrimSuffix(fixture(t, name), []byte("\n")), []byte("\n"))
	return lines[1:]
}

func TestParseInetSocket(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the fixtures have the byte order of little-endian machines")
	}
	at := netip.MustParseAddrPort
	tests := []struct {
		file string
		line int
		want InetSocket
	}{
		{"linux-6.18/tcp", 0, InetSocket{Local: at("127.0.0.1:22"), Remote: at("0.0.0.0:0"), State: 10, Inode: 300838, ReceiveQueue: 1}},
		{"linux-6.18/tcp", 1, InetSocket{Local: at("127.0.0.1:56992"), Remote: at("127.0.0.1:22"), State: 1, Inode: 300839, ReceiveQueue: 28}},
		{"linux-6.18/tcp", 3, InetSocket{Local: at("127.0.0.1:57020"), Remote: at("127.0.0.1:22"), State: 5}},
		{"linux-6.18/tcp6", 1, InetSocket{Local: at("[::ffff:127.0.0.1]:443"), Remote: at("[::ffff:127.0.0.1]:51176"),
			State: 8, Inode: 300848, ReceiveQueue: 1}},
		{"linux-6.18/udp", 0, InetSocket{Local: at("0.0.0.0:53"), Remote: at("0.0.0.0:0"), State: 7, Inode: 300849, ReceiveQueue: 832}},
		{"linux-6.18/udp6", 0, InetSocket{Local: at("[::1]:33254"), Remote: at("[::1]:5353"), State: 1, Inode: 300852}},
		{"linux-3.10/tcp", 1, InetSocket{Local: at("10.0.2.15:22"), Remote: at("10.0.2.2:54330"), State: 1, Inode: 17338, SendQueue: 36}},
		{"linux-3.10/tcp", 2, InetSocket{Local: at("10.0.2.15:41138"), Remote: at("10.0.2.2:80"), State: 6}},
		{"linux-3.10/udp", 1, InetSocket{Local: at("127.0.0.1:323"), Remote: at("0.0.0.0:0"), State: 7, Inode: 12911, ReceiveQueue: 2304}},
		{"linux-3.10/udp6", 0, InetSocket{Local: at("[::1]:323"), Remote: at("[::]:0"), State: 7, Inode: 12912}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.file, " line ", tt.line), func(t *testing.T) {
			var got InetSocket
			if err := ParseInetSocket(fixtureLines(t, tt.file)[tt.line], &got); err != nil || got != tt.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseInetSocketErrors(t *testing.T) {
	const start, end = "0: 0100007F:0016 00000000:0000 0A ", " 00:00000000 00000000 0 0 7"
	for name, line := range map[string]string{
		"empty": "", "header": inetHeading[:len(inetHeading)-1],
		"short send queue":    start + "0000000:00000000" + end,
		"no colon":            start + "00000000000000000" + end,
		"long receive queue":  start + "00000000:000000000" + end,
		"no hexadecimal":      start + "0000000x:00000000" + end,
		"state above 8 bits":  "0: 0100007F:0016 00000000:0000 100 00000000:00000000" + end,
		"negative inode":      start + "00000000:00000000 00:00000000 00000000 0 0 -7",
		"inode above 64 bits": start + "00000000:00000000 00:00000000 00000000 0 0 18446744073709551616",
	} {
		t.Run(name, func(t *testing.T) {
			got := InetSocket{Inode: 9}
			wantParseError(t, ParseInetSocket([]byte(line), &got), "net", "inode")
			if got != (InetSocket{Inode: 9}) {
				t.Errorf("got %+v with an error, want no change", got)
			}
		})
	}
}

func TestParseUnixInode(t *testing.T) {
	tests := []struct {
		file string
		want []uint64
	}{
		{"linux-6.18/unix", []uint64{300855, 300853, 300856, 300854}},
		{"linux-3.10/unix", []uint64{9071, 12034, 7291}},
	}
	for _, tt := range tests {
		var got []uint64
		for _, line := range fixtureLines(t, tt.file) {
			if inode, ok := ParseUnixInode(line); ok {
				got = append(got, inode)
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got inodes %v, want %v", tt.file, got, tt.want)
		}
	}
	if inode, ok := ParseUnixInode([]byte("b: a path with a newline")); ok {
		t.Errorf("got inode %d, want none", inode)
	}
}

func TestParseSocketAllocs(t *testing.T) {
	dst, lines := new(InetSocket), fixtureLines(t, "linux-6.18/tcp6")
	wantNoAllocs(t, func() error { return ParseInetSocket(lines[1], dst) })
	path := fixtureLines(t, "linux-6.18/unix")[1]
	wantNoAllocs(t, func() error {
		if _, ok := ParseUnixInode(path); !ok {
			return newParseError("net", "inode", path)
		}
		return nil
	})
}

func BenchmarkParseInetSocket(b *testing.B) {
	dst := new(InetSocket)
	for _, file := range []string{"tcp", "tcp6"} {
		_, text, _ := nextLine(fixture(b, "linux-6.18/"+file))
		line, _, _ := nextLine(text)
		b.Run(file, func(b *testing.B) {
			benchmark(b, line, func() error { return ParseInetSocket(line, dst) })
		})
	}
}

// FuzzParseInetSocket checks that ParseInetSocket never panics and never returns a value
// with an error.
func FuzzParseInetSocket(f *testing.F) {
	for _, name := range []string{"linux-6.18/tcp", "linux-6.18/udp6", "linux-3.10/tcp"} {
		for _, line := range bytes.Split(fixture(f, name), []byte("\n")) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var got InetSocket
		err := ParseInetSocket(line, &got)
		if err != nil && got != (InetSocket{}) {
			t.Errorf("got %+v and error %v, want no value with an error", got, err)
		}
		if err == nil && (!got.Local.IsValid() || !got.Remote.IsValid()) {
			t.Errorf("got %+v, want valid addresses", got)
		}
	})
}

// FuzzParseUnixInode checks that ParseUnixInode agrees with AppendUnixSockets.
func FuzzParseUnixInode(f *testing.F) {
	f.Add([]byte("0: 2 0 0 0001 01 9 /run/a b"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		inode, ok := ParseUnixInode(line)
		list := AppendUnixSockets(nil, slices.Concat([]byte("header\n"), line, []byte("\n")))
		if ok != (len(list) == 1) || ok && list[0].Inode != inode {
			t.Errorf("got inode %d, ok %v, want that of %+v", inode, ok, list)
		}
	})
}

// FuzzAppendInetSockets checks that AppendInetSockets returns no sockets with
// an error, and only sockets with an inode.
func FuzzAppendInetSockets(f *testing.F) {
	f.Add([]byte(inetHeading + inetLine(netip.MustParseAddrPort("1.2.3.4:5"), netip.MustParseAddrPort("[::1]:6"), "0A", 7)))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := AppendInetSockets(nil, text)
		if err != nil && got != nil {
			t.Errorf("got %+v and error %v, want no value with an error", got, err)
		}
		for _, s := range got {
			if s.Inode == 0 || !s.Local.IsValid() || !s.Remote.IsValid() {
				t.Errorf("got %+v, want a socket with an inode", s)
			}
		}
	})
}

// FuzzAppendUnixSockets checks that AppendUnixSockets never panics, and that no
// path contains a newline.
func FuzzAppendUnixSockets(f *testing.F) {
	f.Add([]byte("h\n0: 2 0 0 0001 01 9 /run/a b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, s := range AppendUnixSockets(nil, text) {
			for _, c := range []byte(s.Path) {
				if c == '\n' {
					t.Errorf("got path %q, want no newline", s.Path)
				}
			}
		}
	})
}

func TestParseSocketLink(t *testing.T) {
	tests := []struct {
		target string
		inode  uint64
		ok     bool
	}{
		{"socket:[1234]", 1234, true},
		{"socket:[0]", 0, true},
		{"socket:[18446744073709551615]", 1<<64 - 1, true},
		{"socket:[18446744073709551616]", 0, false},
		{"socket:[]", 0, false},
		{"socket:[-1]", 0, false},
		{"socket:[12", 0, false},
		{"socket:[1]x", 0, false},
		{"pipe:[1234]", 0, false},
		{"/tmp/socket:[1]", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		if inode, ok := ParseSocketLink([]byte(tt.target)); inode != tt.inode || ok != tt.ok {
			t.Errorf("%q: got %d, %v, want %d, %v", tt.target, inode, ok, tt.inode, tt.ok)
		}
	}
	target := []byte("socket:[1234]")
	wantNoAllocs(t, func() error {
		_, _ = ParseSocketLink(target)
		return nil
	})
}

// FuzzParseSocketLink checks that ParseSocketLink accepts only the text of the kernel.
func FuzzParseSocketLink(f *testing.F) {
	f.Add([]byte("socket:[1234]"))
	f.Fuzz(func(t *testing.T, target []byte) {
		inode, ok := ParseSocketLink(target)
		if text := fmt.Appendf(nil, "socket:[%d]", inode); ok && !bytes.Equal(text, target) && !bytes.Contains(target, []byte("[0")) {
			t.Errorf("got inode %d from %q", inode, target)
		}
	})
}
