package procfs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
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
		{"listens", inetHeading + good, []InetSocket{{v4, none, 10, 7}}, "none"},
		{"IPv6", inetHeading + inetLine(v6, mapped, "01", 8), []InetSocket{{v6, mapped, 1, 8}}, "none"},
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
