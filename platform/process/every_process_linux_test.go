package process

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestEveryProcess reads all attributes of all processes of this machine. Each has a
// plausible value, or an error that matches a sentinel.
func TestEveryProcess(t *testing.T) {
	for p, err := range All() {
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attributes() {
			if strings.HasPrefix(string(a.name), "children") { // reads every process
				continue
			}
			value, err := a.read(p)
			switch {
			case err == nil:
				wantPlausible(t, p, a.name, value)
			case errors.Is(err, ErrGone), errors.Is(err, ErrAccessDenied), a.use == otherSystems:
			case errors.Is(err, ErrTooLarge) && (strings.HasPrefix(string(a.name), "cmdline") || a.name == AttrEnviron):
			default:
				t.Errorf("%s of %v: got error %v, want ErrGone or ErrAccessDenied", a.name, p, err)
			}
		}
	}
}

// wantPlausible checks that a value is in the range of its attribute.
func wantPlausible(t *testing.T, p *Process, name Attr, value any) {
	t.Helper()
	var plausible bool
	switch v := value.(type) {
	case int:
		plausible = v >= 0 && v < 1<<30 || name == "nice" && v >= -20
	case string:
		plausible = isPlausibleText(name, v)
	case Status:
		plausible = v.String() != "?"
	case time.Time:
		plausible = v.After(time.Unix(0, 0)) && v.Before(time.Now().Add(2*time.Second))
	case float64:
		plausible = v >= 0 && v < 1e6
	case map[Resource]Limit:
		plausible = len(v) == resourceCount
	default:
		plausible = isPlausibleStruct(value)
	}
	if !plausible {
		t.Errorf("%s of %v: got %v, want a plausible value", name, p, value)
	}
}

func isPlausibleText(name Attr, text string) bool {
	switch name {
	case "name", "username":
		return text != ""
	case "cwd":
		return text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "(unreachable)")
	case "terminal":
		return text == "" || strings.HasPrefix(text, "/dev/")
	}
	return true
}

func isPlausibleStruct(value any) bool {
	switch v := value.(type) {
	case CPUTimes:
		return min(v.User, v.System, v.ChildrenUser, v.ChildrenSystem, v.IOWait) >= 0
	case IOPriority:
		return v.Class >= IOClassNone && v.Class <= IOClassIdle && v.Level >= 0 && v.Level <= 7
	case MemoryInfo:
		return v.RSS < 1<<50 && v.Shared <= v.RSS+1<<24
	case []Thread:
		return len(v) > 0 && slices.IsSortedFunc(v, func(a, b Thread) int { return a.TID - b.TID })
	case []OpenFile:
		return !slices.ContainsFunc(v, func(f OpenFile) bool { return f.FD < 0 || f.Position < 0 || f.Path[0] != '/' })
	case []MemoryMap:
		return !slices.ContainsFunc(v, func(m MemoryMap) bool { return m.RSS > m.Size || m.Path == "" })
	}
	return true
}

// TestPIDsAgree compares PIDs, Exists and Open. It polls for PIDs of processes that
// start or exit in between.
func TestPIDsAgree(t *testing.T) {
	const last = 3000
	pids := must[[]int](t)(PIDs())
	if !slices.IsSorted(pids) || len(slices.Compact(slices.Clone(pids))) != len(pids) {
		t.Errorf("got %v, want each once and ascending", pids)
	}
	for pid := 1; pid <= last; pid++ {
		p, err := Open(pid)
		if err == nil {
			p.Close()
		} else if !errors.Is(err, ErrGone) {
			t.Errorf("process %d: got error %v, want none or ErrGone", pid, err)
		}
		if must[bool](t)(Exists(pid)) != slices.Contains(pids, pid) {
			testenv.Eventually(t, func() bool {
				return must[bool](t)(Exists(pid)) == slices.Contains(must[[]int](t)(PIDs()), pid)
			})
		}
	}
}

// TestEveryMethodOfZombie calls all methods of a zombie: they fail with ErrZombie or
// not at all.
func TestEveryMethodOfZombie(t *testing.T) {
	p := startZombie(t)
	for name, call := range everyMethod(p.Process) {
		err := call()
		denied := os.Geteuid() != 0 && errors.Is(err, ErrAccessDenied)
		if err != nil && !denied && !errors.Is(err, ErrZombie) {
			t.Errorf("%s: got error %v, want none or ErrZombie", name, err)
		}
	}
	if pids := must[[]int](t)(PIDs()); !slices.Contains(pids, p.PID()) {
		t.Errorf("got PIDs %v, want %d among them", pids, p.PID())
	}
	wantEqual(t, "nice", must[int](t)(p.Nice()), 3) // everyMethod sets it
}

// TestDeepTree starts a chain of descendants.
func TestDeepTree(t *testing.T) {
	const depth = 30
	top := startChild(t, nil, "nest=30")
	below := must[[]*Process](t)(top.Descendants())
	defer CloseAll(below)
	if len(below) != depth {
		t.Fatalf("got %d descendants, want %d", len(below), depth)
	}
	wantEqual(t, "children", len(must[[]int](t)(pidsOf(top.Children()))), 1)
	var ancestors []int // of the ancestors descendant
	for _, p := range below {
		if pids := must[[]int](t)(pidsOf(p.Parents())); len(pids) > len(ancestors) {
			ancestors = pids
		}
	}
	wantEqual(t, "index of the top", slices.Index(ancestors, top.PID()), depth-1)
	wantEqual(t, "index of this process", slices.Index(ancestors, os.Getpid()), depth)
}

// TestOverwrittenEnviron starts children that overwrite their environment.
func TestOverwrittenEnviron(t *testing.T) {
	room := func(c *exec.Cmd) { c.Env = []string{"OLD=" + strings.Repeat("x", 100), "PATH=/"} }
	for _, tt := range []struct {
		name, text string
		want       map[string]string
	}{
		{"other names", "NEW=1,B=,", map[string]string{"NEW": "1", "B": ""}},
		{"twice", "NEW=1,NEW=2,", map[string]string{"NEW": "2"}},
		{"no variables", "junk,=x,NEW=a=b,", map[string]string{"NEW": "a=b"}},
		{"empty", "", map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must[map[string]string](t)(startChild(t, room, "environ="+tt.text).Environ())
			if len(got) != len(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for name, value := range tt.want {
				wantEqual(t, name, got[name], value)
			}
		})
	}
}

// TestPathsNotUTF8 uses paths with bytes that are not UTF-8 and with the suffix that
// the kernel adds to deleted files. The kernel escapes a line break in smaps.
func TestPathsNotUTF8(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fünf \xff\t (deleted)")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, file, socket := filepath.Join(dir, "pr\xfe"), filepath.Join(dir, "m\np"), filepath.Join(dir, "s\xfd ")
	testenv.CopyEdgeCase(t, program)
	p := startChild(t, func(c *exec.Cmd) { c.Path, c.Dir = program, dir }, "map=file,4096,"+file, "unix="+socket)
	wantEqual(t, "exe", must[string](t)(p.Exe()), program)
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
	got := must[[]Connection](t)(p.Connections(ConnectionUnix))
	if len(got) != 1 || got[0].Path != socket || got[0].Type != SocketDatagram {
		t.Errorf("got %+v, want a socket at %q", got, socket)
	}
	for _, path := range []string{program, strings.ReplaceAll(file, "\n", `\012`)} {
		if !slices.ContainsFunc(must[[]MemoryMap](t)(p.MemoryMapsByPath()), func(m MemoryMap) bool { return m.Path == path && !m.Deleted }) {
			t.Errorf("got no mapping of %q, want one", path)
		}
	}
}

func TestChangedDirectory(t *testing.T) {
	dir := t.TempDir()
	p := startChild(t, nil, "await", "chdir="+dir)
	wantEqual(t, "before", must[string](t)(p.Cwd()), must[string](t)(os.Getwd()))
	p.Step(t)
	wantEqual(t, "cwd", must[string](t)(p.Cwd()), dir)
}

// TestEveryKindOfDescriptor opens one descriptor of each kind. All of them count, only
// regular files are open files, and only listed sockets are connections.
func TestEveryKindOfDescriptor(t *testing.T) {
	self := openProcess(t, os.Getpid())
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	fds := map[string]int{"pipe": pipe[0], "other end": pipe[1]}
	for name, open := range map[string]func() (int, error){
		"eventfd":   func() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC) },
		"epoll":     func() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) },
		"timerfd":   func() (int, error) { return unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC) },
		"signalfd":  func() (int, error) { return unix.Signalfd(-1, &unix.Sigset_t{}, unix.SFD_CLOEXEC) },
		"inotify":   func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC) },
		"memory":    func() (int, error) { return unix.MemfdCreate("m m", unix.MFD_CLOEXEC) },
		"directory": func() (int, error) { return unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) },
		"device":    func() (int, error) { return unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0) },
		"process":   func() (int, error) { return unix.PidfdOpen(os.Getpid(), 0) },
		"tcp":       func() (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) },
		"netlink":   func() (int, error) { return unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) },
		"datagrams": func() (int, error) { return unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) },
	} {
		fds[name] = must[int](t)(open())
	}
	before := must[int](t)(self.NumFDs())
	files, connections := must[[]OpenFile](t)(self.OpenFiles()), must[[]Connection](t)(self.Connections(ConnectionAll))
	for name, fd := range fds {
		isFile := slices.ContainsFunc(files, func(f OpenFile) bool { return f.FD == fd })
		wantEqual(t, name+" is a file", isFile, name == "memory")
		isConnection := slices.ContainsFunc(connections, func(c Connection) bool { return c.FD == fd })
		wantEqual(t, name+" is a connection", isConnection, name == "datagrams")
	}
	got := openFileAt(t, self, fds["memory"])
	wantEqual(t, "path", got.Path, "/memfd:m m")
	wantEqual(t, "deleted", got.Deleted, true)
	for _, fd := range fds {
		unix.Close(fd)
	}
	wantEqual(t, "closed descriptors", before-must[int](t)(self.NumFDs()), len(fds))
}

// TestUnconnectedUDPSockets opens an unconnected UDP socket of each family.
func TestUnconnectedUDPSockets(t *testing.T) {
	self := openProcess(t, os.Getpid())
	for network, want := range map[string]ConnectionKind{"udp4": ConnectionUDP4, "udp6": ConnectionUDP6} {
		address := map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"}[network]
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Logf("%s is not available: %v", network, err)
			continue
		}
		defer c.Close()
		got := connectionsAt(t, self, ConnectionAll, fdOf(t, c.(syscall.Conn)))
		if len(got) != 1 || got[0].Kind != want || got[0].Type != SocketDatagram || got[0].Status != ConnNone ||
			got[0].Local.String() != c.LocalAddr().String() || got[0].Remote.IsValid() {
			t.Errorf("got %+v, want %s at %v", got, network, c.LocalAddr())
		}
	}
}

// TestAffinitySets sets every subset of up to four CPUs.
func TestAffinitySets(t *testing.T) {
	p := startChild(t, nil)
	cpus := must[[]int](t)(p.CPUAffinity())
	cpus = cpus[:min(4, len(cpus))]
	for set := 1; set < 1<<len(cpus); set++ {
		var want []int
		for k, cpu := range cpus {
			if set>>k&1 != 0 {
				want = append(want, cpu)
			}
		}
		if err := p.SetCPUAffinity(want...); err != nil {
			t.Fatal(err)
		}
		if got := must[[]int](t)(p.CPUAffinity()); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// TestRaiseSoftLimit lowers a soft limit and raises it again.
func TestRaiseSoftLimit(t *testing.T) {
	p := startChild(t, nil)
	had := must[Limit](t)(p.Rlimit(ResourceFSize))
	if had.Hard != Unlimited {
		t.Skipf("RLIMIT_FSIZE has a hard limit: %+v", had)
	}
	for _, want := range []Limit{{Soft: 1024, Hard: Unlimited}, {Soft: Unlimited, Hard: Unlimited}} {
		if err := p.SetRlimit(ResourceFSize, want); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "rlimit", must[Limit](t)(p.Rlimit(ResourceFSize)), want)
		text := string(must[[]byte](t)(os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID()), "limits"))))
		fields := strings.Fields(text[strings.Index(text, "Max file size"):])
		soft := map[uint64]string{1024: "1024", Unlimited: "unlimited"}[want.Soft]
		wantEqual(t, "file", fields[3]+" "+fields[4], soft+" unlimited")
	}
}
