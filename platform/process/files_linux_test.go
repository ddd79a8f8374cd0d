package process

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	self := openProcess(t, os.Getpid())
	tests := []struct {
		name  string
		flags int
		mode  string
	}{
		{"read", unix.O_RDONLY, "r"}, {"write", unix.O_WRONLY, "w"}, {"append", unix.O_WRONLY | unix.O_APPEND, "a"},
		{"both", unix.O_RDWR, "r+"}, {"both, append", unix.O_RDWR | unix.O_APPEND, "a+"}, {"path", unix.O_PATH, "r"},
		{"neither", 3, ""}, {"kept (deleted)", unix.O_RDONLY, "r"}, {"line\nbreak \xff", unix.O_RDONLY, "r"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if err := os.WriteFile(path, make([]byte, 2000), 0o600); err != nil {
				t.Fatal(err)
			}
			fd := must[int](t)(unix.Open(path, tt.flags|unix.O_CLOEXEC, 0))
			defer unix.Close(fd)
			stat := must[os.FileInfo](t)(os.Stat(path)).Sys().(*syscall.Stat_t)
			want := OpenFile{Path: path, FD: fd, Mode: tt.mode, Device: uint64(stat.Dev), Inode: stat.Ino}
			if tt.flags != unix.O_PATH && tt.flags != 3 {
				want.Position = must[int64](t)(unix.Seek(fd, 1024, 0))
			}
			got := openFileAt(t, self, fd)
			if got.Flags&3 != uint64(tt.flags&3) {
				t.Errorf("got flags %o, want those of %o", got.Flags, tt.flags)
			}
			got.Flags = 0
			wantEqual(t, "file", got, want)

			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			// Another file gets the path. It is not the open one.
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			got, want.Deleted = openFileAt(t, self, fd), true
			got.Flags = 0
			wantEqual(t, "deleted file", got, want)
		})
	}
}

func openFileAt(t *testing.T, p *Process, fd int) OpenFile {
	t.Helper()
	files := must[[]OpenFile](t)(p.OpenFiles())
	at := slices.IndexFunc(files, func(f OpenFile) bool { return f.FD == fd })
	if at < 0 {
		t.Fatalf("got %+v, want descriptor %d among them", files, fd)
	}
	return files[at]
}

func TestOpenFilesOmitsOtherDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null := must[*os.File](t)(os.Open("/dev/null"))
	defer null.Close()
	self := openProcess(t, os.Getpid())
	for _, f := range must[[]OpenFile](t)(self.OpenFiles()) {
		if fd := uintptr(f.FD); fd == r.Fd() || fd == null.Fd() {
			t.Errorf("got %+v, want only regular files", f)
		}
	}
}

// TestNumFDs polls, because the Go runtime may open or close descriptors too.
func TestNumFDs(t *testing.T) {
	self := openProcess(t, os.Getpid())
	testenv.Eventually(t, func() bool {
		before := must[int](t)(self.NumFDs())
		fd := must[int](t)(unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0))
		open := must[int](t)(self.NumFDs())
		unix.Close(fd)
		return open == before+1 && must[int](t)(self.NumFDs()) == before
	})
}

// connectionsAt returns the connections with a descriptor.
func connectionsAt(t *testing.T, p *Process, kinds ConnectionKind, fd int) []Connection {
	t.Helper()
	all := must[[]Connection](t)(p.Connections(kinds))
	return slices.DeleteFunc(all, func(c Connection) bool { return c.FD != fd })
}

// fdOf returns the descriptor of a connection.
func fdOf(t *testing.T, c syscall.Conn) int {
	t.Helper()
	raw := must[syscall.RawConn](t)(c.SyscallConn())
	var at int
	if err := raw.Control(func(fd uintptr) { at = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestInternetConnections(t *testing.T) {
	self := openProcess(t, os.Getpid())
	for _, tt := range []struct {
		network, address string
		kind             ConnectionKind
	}{{"tcp4", "127.0.0.1:0", ConnectionTCP4}, {"tcp6", "[::1]:0", ConnectionTCP6}} {
		t.Run(tt.network, func(t *testing.T) {
			l, err := net.Listen(tt.network, tt.address)
			if err != nil {
				t.Skipf("%s is not available: %v", tt.network, err)
			}
			defer l.Close()
			at := netip.MustParseAddrPort(l.Addr().String())
			fd := fdOf(t, l.(*net.TCPListener))
			dup := must[int](t)(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0))
			defer unix.Close(dup)
			for _, fd := range []int{fd, dup} { // each descriptor is a connection
				want := Connection{FD: fd, Kind: tt.kind, Type: SocketStream, Local: at, Status: ConnListen}
				got := connectionsAt(t, self, ConnectionTCP, fd)
				if len(got) != 1 || got[0] != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			if got := connectionsAt(t, self, ConnectionUDP|ConnectionUnix, fd); len(got) != 0 {
				t.Errorf("got %+v of other kinds, want none", got)
			}
			client := must[net.Conn](t)(net.Dial(tt.network, l.Addr().String()))
			defer client.Close()
			got := connectionsAt(t, self, tt.kind, fdOf(t, client.(*net.TCPConn)))
			if len(got) != 1 || got[0].Remote != at || got[0].Status != ConnEstablished {
				t.Errorf("got %+v, want one to %v", got, at)
			}
		})
	}
	t.Run("udp4", func(t *testing.T) {
		c := must[net.PacketConn](t)(net.ListenPacket("udp4", "127.0.0.1:0"))
		defer c.Close()
		at := netip.MustParseAddrPort(c.LocalAddr().String())
		fd := fdOf(t, c.(*net.UDPConn))
		want := Connection{FD: fd, Kind: ConnectionUDP4, Type: SocketDatagram, Local: at}
		if got := connectionsAt(t, self, ConnectionInet, fd); len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestUnixConnections(t *testing.T) {
	self := openProcess(t, os.Getpid())
	abstract := fmt.Sprintf("@process api %d", os.Getpid())
	for _, path := range []string{filepath.Join(t.TempDir(), "a b"), abstract} {
		l := must[net.Listener](t)(net.Listen("unix", path))
		defer l.Close()
		fd := fdOf(t, l.(*net.UnixListener))
		want := Connection{FD: fd, Kind: ConnectionUnix, Type: SocketStream, Path: path}
		if got := connectionsAt(t, self, ConnectionAll, fd); len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	pair := must[[2]int](t)(unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	want := Connection{FD: pair[0], Kind: ConnectionUnix, Type: SocketSeqPacket}
	if got := connectionsAt(t, self, ConnectionUnix, pair[0]); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConnectionsInNetworkNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireNamespaces(t)
	p := startChild(t, func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET} }, "listen=0.0.0.0:4242")
	got := must[[]Connection](t)(p.Connections(ConnectionTCP))
	if len(got) != 1 || got[0].Local != netip.MustParseAddrPort("0.0.0.0:4242") || got[0].Status != ConnListen {
		t.Errorf("got %+v, want one that listens on port 4242", got)
	}
}

func TestConnectionKindString(t *testing.T) {
	for kind, want := range map[ConnectionKind]string{
		ConnectionTCP4 | ConnectionUnix: "ConnectionKind(0x11)", 0: "ConnectionKind(0x0)", ConnectionTCP: "tcp",
	} {
		wantEqual(t, "string", kind.String(), want)
	}
}

func TestParseConnectionKind(t *testing.T) {
	for name, want := range map[string]ConnectionKind{
		"all": ConnectionAll, "inet": ConnectionInet, "inet4": ConnectionInet4, "inet6": ConnectionInet6, "tcp": ConnectionTCP,
		"tcp4": ConnectionTCP4, "tcp6": ConnectionTCP6, "udp": ConnectionUDP, "udp4": ConnectionUDP4, "udp6": ConnectionUDP6,
		"unix": ConnectionUnix,
	} {
		wantEqual(t, name, must[ConnectionKind](t)(ParseConnectionKind(name)), want)
		wantEqual(t, "string of "+name, want.String(), name)
	}
	self := openProcess(t, os.Getpid())
	if _, err := ParseConnectionKind("raw"); err == nil {
		t.Error("unknown kind: got no error, want one")
	}
	if _, err := self.Connections(0); err == nil {
		t.Error("empty set of kinds: got no error, want one")
	}
}
