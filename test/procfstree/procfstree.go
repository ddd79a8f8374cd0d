// Package procfstree writes copies of /proc for tests: files of processes that do not exist, in the
// format of the kernel.
package procfstree

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// BootTime is the boot time of every Tree, in Unix seconds.
const BootTime = 1700000000

// A Tree is a directory with the layout of /proc.
type Tree struct {
	Root string
	t    testing.TB
}

// A Process is one directory of a Tree. The zero values describe a small sleeping process.
type Process struct {
	PID, PPID  int
	Comm       string
	Args       []string // nil: an empty command line
	Cmdline    string   // instead of Args, byte for byte
	State      string   // "" is S
	Flags      uint64
	UTime      uint64 // ticks, like STime and Start
	STime      uint64
	Start      uint64
	MinFlt     uint64
	MajFlt     uint64
	VSize      uint64 // bytes
	RSS        uint64 // pages
	StatRSS    uint64 // pages in stat, which may be fewer; 0 is RSS
	StackStart uint64 // a different value means that the process called execve
	UIDs       [4]uint32
	SwapKB     uint64
	Voluntary  uint64
	Nonvol     uint64
	ReadBytes  uint64
	WriteBytes uint64
	FDs        int
	FDLimit    string // "" is 1024
	WChan      string // "" is 0
	Cgroup     string
	Exe        string // target of the link exe; "" for none
	PSSKB      uint64
	SwapPSSKB  uint64
	USSKB      uint64
	Threads    []Thread // in addition to the main thread; TIDs are used as given
	MainThread Thread   // of a process with Threads: the values in its own task directory
	Broken     []string // files that cannot be read: reading them is an error
	Denied     []string // files without read permission
}

// writeOnly is a file that not even root can read.
const writeOnly = "/proc/sys/vm/compact_memory"

// A Thread is one thread of a Process.
type Thread struct {
	TID                   int
	Comm                  string
	State                 string
	UTime, STime          uint64
	Start                 uint64
	MinFlt, MajFlt        uint64
	Voluntary, Nonvol     uint64
	ReadBytes, WriteBytes uint64
	WChan                 string
}

// New returns an empty Tree of a machine that is up for a number of ticks.
func New(t testing.TB, uptime uint64) *Tree {
	t.Helper()
	tree := &Tree{Root: t.TempDir(), t: t}
	tree.BootTime(BootTime)
	tree.file("meminfo", "MemTotal: 1024 kB\nSwapTotal: 0 kB\n")
	tree.Uptime(uptime)
	return tree
}

// BootTime sets the boot time, in Unix seconds.
func (tr *Tree) BootTime(seconds int64) {
	tr.file("stat", fmt.Sprintf("cpu  1 2 3 4 5 6 7 8 9 10\nctxt 1\nbtime %d\nprocesses 9\n", seconds))
}

// Uptime sets the time since boot in ticks.
func (tr *Tree) Uptime(ticks uint64) {
	tr.file("uptime", fmt.Sprintf("%d.%02d 0.00\n", ticks/100, ticks%100))
}

// Remove removes processes.
func (tr *Tree) Remove(pids ...int) {
	for _, pid := range pids {
		if err := os.RemoveAll(filepath.Join(tr.Root, strconv.Itoa(pid))); err != nil {
			tr.t.Fatal(err)
		}
	}
}

// Set replaces the processes with the same PIDs.
func (tr *Tree) Set(ps ...Process) {
	tr.t.Helper()
	for _, p := range ps {
		tr.Remove(p.PID)
		tr.writeProcess(p)
	}
}

func (tr *Tree) writeProcess(p Process) {
	dir := strconv.Itoa(p.PID)
	main := p.MainThread
	if len(p.Threads) == 0 {
		main = Thread{UTime: p.UTime, STime: p.STime, MinFlt: p.MinFlt, MajFlt: p.MajFlt, Voluntary: p.Voluntary, Nonvol: p.Nonvol,
			ReadBytes: p.ReadBytes, WriteBytes: p.WriteBytes, WChan: p.WChan}
	}
	main.TID, main.Comm, main.Start, main.State = p.PID, p.Comm, p.Start, or(main.State, p.State)
	tr.file(dir+"/stat", p.stat(main))
	tr.file(dir+"/status", p.status(main))
	tr.file(dir+"/io", ioText(p.ReadBytes, p.WriteBytes))
	tr.file(dir+"/schedstat", "0 0 0\n") // a kernel without scheduler statistics
	tr.file(dir+"/comm", p.Comm+"\n")
	shown := p
	if main.State == "Z" { // a zombie main thread shows nothing that belongs to all threads
		shown = Process{State: "Z"}
	}
	tr.memory(dir, shown)
	tr.file(dir+"/cgroup", p.Cgroup)
	if p.Exe != "" {
		if err := os.Symlink(p.Exe, filepath.Join(tr.Root, dir, "exe")); err != nil {
			tr.t.Fatal(err)
		}
	}
	tr.file(dir+"/wchan", or(main.WChan, "0"))
	tr.file(dir+"/limits", fmt.Sprintf("%-26s%-21s%-21s%-10s\n%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units",
		"Max open files", or(p.FDLimit, "1024"), "1048576", "files"))
	for _, th := range append([]Thread{main}, p.Threads...) {
		tr.task(p, th)
	}
	for _, file := range p.Broken {
		path := filepath.Join(tr.Root, dir, file)
		if err := os.RemoveAll(path); err != nil {
			tr.t.Fatal(err)
		}
		tr.dir(dir + "/" + file) // reading a directory is an error, for root too
		if file == "fd" || file == "task" {
			_ = os.RemoveAll(path)
			tr.file(dir+"/"+file, "") // and so is listing a file
		}
	}
	for _, file := range p.Denied {
		path := filepath.Join(tr.Root, dir, file)
		if err := errors.Join(os.RemoveAll(path), os.Symlink(writeOnly, path)); err != nil {
			tr.t.Fatal(err)
		}
	}
}

// memory writes the files with the memory and file descriptors of a process, into its own directory or
// that of a thread.
func (tr *Tree) memory(dir string, p Process) {
	tr.file(dir+"/statm", fmt.Sprintf("%d %d 0 0 0 0 0\n", p.VSize/4096, p.RSS))
	tr.file(dir+"/cmdline", p.cmdline())
	if p.State != "Z" {
		tr.file(dir+"/smaps_rollup",
			fmt.Sprintf("00400000-7fff0000 ---p 00000000 00:00 0 [rollup]\nRss: %d kB\nPss: %d kB\nPrivate_Clean: 0 kB\nPrivate_Dirty: %d "+
				"kB\nSwap: 0 kB\nSwapPss: %d kB\n",
				p.PSSKB, p.PSSKB, p.USSKB, p.SwapPSSKB))
	}
	tr.dir(dir + "/fd")
	for i := range p.FDs {
		tr.file(fmt.Sprintf("%s/fd/%d", dir, i), "")
	}
}

func (tr *Tree) task(p Process, th Thread) {
	dir := fmt.Sprintf("%d/task/%d", p.PID, th.TID)
	if th.State == "Z" {
		p.VSize, p.RSS, p.StatRSS = 0, 0, 0
	} else if th.TID != p.PID {
		tr.memory(dir, p)
	}
	tr.file(dir+"/stat", statText(th.TID, th.Comm, or(th.State, "S"), p.PPID, p.Flags, th.MinFlt, th.MajFlt, th.UTime, th.STime,
		1+len(p.Threads), th.Start, p.VSize, cmp.Or(p.StatRSS, p.RSS), p.StackStart))
	tr.file(dir+"/status", p.statusOf(th))
	tr.file(dir+"/io", ioText(th.ReadBytes, th.WriteBytes))
	tr.file(dir+"/schedstat", "0 0 0\n")
	tr.file(dir+"/comm", th.Comm+"\n")
	tr.file(dir+"/wchan", or(th.WChan, "0"))
	tr.file(dir+"/cgroup", p.Cgroup)
}

func (p Process) stat(main Thread) string {
	if main.State == "Z" {
		p.VSize, p.RSS, p.StatRSS = 0, 0, 0
	}
	return statText(p.PID, p.Comm, or(main.State, "S"), p.PPID, p.Flags, p.MinFlt, p.MajFlt, p.UTime, p.STime, 1+len(p.Threads), p.Start,
		p.VSize, cmp.Or(p.StatRSS, p.RSS), p.StackStart)
}

func statText(pid int, comm, state string, ppid int, flags, minflt, majflt, utime, stime uint64, threads int, start, vsize, rss,
	stack uint64) string {
	return fmt.Sprintf("%d (%s) %s %d %d %d 0 -1 %d %d 0 %d 0 %d %d 0 0 20 0 %d 0 %d %d %d 18446744073709551615 1 1 %d 0 0 0 0 0 0 0 0 0 "+
		"17 0 0 0 0 0 0 0 0 0 %d %d 0 0 0\n",
		pid, comm, state, ppid, pid, pid, flags, minflt, majflt, utime, stime, threads, start, vsize, rss, stack, stack, stack)
}

func (p *Process) status(main Thread) string {
	main.Voluntary, main.Nonvol = p.Voluntary, p.Nonvol
	if len(p.Threads) > 0 {
		main.Voluntary, main.Nonvol = p.MainThread.Voluntary, p.MainThread.Nonvol
	}
	return p.statusOf(main)
}

func (p *Process) statusOf(th Thread) string {
	var b strings.Builder
	name := strings.NewReplacer("\\", "\\\\", "\n", "\\n").Replace(th.Comm)
	fmt.Fprintf(&b, "Name:\t%s\nState:\t%s (x)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n", name, or(th.State, "S"), p.PID, th.TID, p.PPID)
	for _, key := range []string{"Uid", "Gid"} {
		fmt.Fprintf(&b, "%s:\t%d\t%d\t%d\t%d\n", key, p.UIDs[0], p.UIDs[1], p.UIDs[2], p.UIDs[3])
	}
	if p.State != "Z" && th.State != "Z" {
		fmt.Fprintf(&b, "VmSize:\t%8d kB\nVmRSS:\t%8d kB\nVmSwap:\t%8d kB\n", p.VSize/1024, p.RSS*4, p.SwapKB)
	}
	fmt.Fprintf(&b, "Threads:\t%d\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", 1+len(p.Threads), th.Voluntary,
		th.Nonvol)
	return b.String()
}

func (p *Process) cmdline() string {
	if p.Cmdline != "" {
		return p.Cmdline
	}
	var b strings.Builder
	for _, arg := range p.Args {
		b.WriteString(arg)
		b.WriteByte(0)
	}
	return b.String()
}

func ioText(read, write uint64) string {
	return fmt.Sprintf("rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n", read, write)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (tr *Tree) file(name, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *Tree) dir(name string) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Join(tr.Root, name), 0o755); err != nil {
		tr.t.Fatal(err)
	}
}
