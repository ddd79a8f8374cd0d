// Package process reads and controls single processes. It is psutil's Process
// class for Go.
//
// A [Process] holds the /proc directory of one process open, so it never refers
// to another process that the kernel gave the same PID. A [Table] opens processes
// of another mount, such as the /proc of a host inside a container.
//
// Read one process:
//
//	p, err := process.Open(pid)
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	times, err := p.CPUTimes()
//
// Read several values with one read of each file:
//
//	view := p.Oneshot()
//	name, err := view.Name()
//	memory, err := view.MemoryInfo()
//
// Iterate over all processes. A Process of an iteration needs no Close and stays
// usable:
//
//	for p, err := range process.All() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(p.PID())
//	}
//
// List the processes that use the most CPU time. Store the results before sorting:
// each call of [Process.CPUPercent] starts a new interval, so a comparison must not
// call it.
//
//	use := make(map[*process.Process]float64)
//	for round := range 2 { // the second round returns the use since the first
//		if round > 0 {
//			time.Sleep(time.Second)
//		}
//		clear(use)
//		for p, err := range process.All() {
//			if err != nil {
//				return err
//			}
//			if percent, err := p.CPUPercent(); err == nil { // else it has exited
//				use[p] = percent
//			}
//		}
//	}
//	top := slices.SortedFunc(maps.Keys(use), func(a, b *process.Process) int {
//		return cmp.Compare(use[b], use[a])
//	})
//
// End a process and all its descendants. List them first: when p ends, its children
// get another parent. At the end, alive has the processes that still exist. That can be
// zombies, whose [Process.Status] is [StatusZombie], because their parent does not reap
// them. An error of Descendants leaves the processes that could be opened in tree.
//
//	tree, err := p.Descendants()
//	defer process.CloseAll(tree) // not p
//	tree = append(tree, p)
//	for _, q := range tree {
//		if e := q.Terminate(); !errors.Is(e, process.ErrGone) {
//			err = errors.Join(err, e)
//		}
//	}
//	soon, cancel := context.WithTimeout(ctx, 3*time.Second)
//	defer cancel()
//	_, alive, _ := process.WaitAll(soon, tree, nil)
//	for _, q := range alive {
//		if e := q.Kill(); !errors.Is(e, process.ErrGone) {
//			err = errors.Join(err, e)
//		}
//	}
//	later, cancel := context.WithTimeout(ctx, 3*time.Second)
//	defer cancel()
//	_, alive, _ = process.WaitAll(later, alive, nil)
//
// Watch the memory use of a process until it ends. Many methods support a zombie, so
// that ErrGone alone would not end the loop before the parent reaps the process:
//
//	for {
//		memory, err := p.MemoryInfo()
//		if err != nil {
//			return err // ErrGone: it was reaped
//		}
//		status, err := p.Status()
//		if err != nil || status == process.StatusZombie {
//			return err
//		}
//		fmt.Println(memory.RSS)
//		time.Sleep(time.Second)
//	}
//
// Find the processes that listen on a TCP port. Connections fails with [ErrGone], or
// with [ErrAccessDenied] for processes of other users. The result includes other network
// namespaces, such as those of containers; the link /proc/PID/ns/net identifies them.
//
//	denied := 0
//	for p, err := range process.All() {
//		if err != nil {
//			return err
//		}
//		connections, err := p.Connections(process.ConnectionTCP)
//		if errors.Is(err, process.ErrAccessDenied) {
//			denied++
//		}
//		for _, c := range connections {
//			if c.Status == process.ConnListen && c.Local.Port() == port {
//				fmt.Println(p.PID(), c.Local)
//			}
//		}
//	}
//	fmt.Println(denied, "processes could not be read")
//
// Find the processes that have a regular file open, with the same errors. Mapped
// programs and libraries, directories and devices are not found:
//
//	info, err := os.Stat(path)
//	if err != nil {
//		return err
//	}
//	file := info.Sys().(*syscall.Stat_t)
//	denied := 0
//	for p, err := range process.All() {
//		if err != nil {
//			return err
//		}
//		open, err := p.OpenFiles()
//		if errors.Is(err, process.ErrAccessDenied) {
//			denied++
//		}
//		for _, f := range open {
//			if f.Device == uint64(file.Dev) && f.Inode == file.Ino {
//				fmt.Println(p.PID(), f.FD, f.Mode)
//			}
//		}
//	}
//	fmt.Println(denied, "processes could not be read")
//
// # Processes of other users
//
// Without privileges, methods such as [Process.OpenFiles], [Process.Connections] and
// [Process.Exe] fail for processes of other users. A scan of all processes then
// omits their values. Count the errors that match [ErrAccessDenied] to know how many
// processes are missing. They also fail for a process of the same user that has more
// capabilities, or that is not dumpable: see ptrace(2).
//
// # From psutil to Go
//
// The names are those of psutil 8.
//
//	psutil                              Go
//	Process(pid)                        Open(pid), and Close
//	p.oneshot()                         view := p.Oneshot()
//	p.as_dict(["name"], ad_value=x)     p.AsMap(x, AttrName)
//	p.attrs                             Attrs()
//	p.name(), p.exe(), p.cmdline()      p.Name(), p.Exe(), p.Cmdline()
//	p.cwd(), p.environ()                p.Cwd(), p.Environ()
//	p.status() == STATUS_ZOMBIE         p.Status() == StatusZombie
//	p.create_time()                     p.CreateTime(), a time.Time
//	p.username(), p.uids(), p.gids()    p.Username(), p.UIDs(), p.GIDs()
//	p.terminal()                        p.Terminal(), "" for none
//	p.ppid()                            p.PPID()
//	p.parent()                          p.Parent(), ErrNoParent for none
//	p.parents()                         p.Parents(), p.ParentPIDs()
//	p.children()                        p.Children(), p.ChildPIDs()
//	p.children(recursive=True)          p.Descendants(), p.DescendantPIDs()
//	p.nice(), p.nice(5)                 p.Nice(), p.SetNice(5)
//	p.ionice(), p.ionice(...)           p.IONice(), p.SetIONice(...)
//	p.rlimit(RLIMIT_NOFILE)             p.Rlimit(ResourceNoFile), p.SetRlimit(...)
//	p.cpu_affinity()                    p.CPUAffinity(), p.SetCPUAffinity(...)
//	p.cpu_times(), p.cpu_num()          p.CPUTimes(), p.CPUNum()
//	p.cpu_percent()                     p.CPUPercent()
//	p.cpu_percent(interval=1)           p.CPUPercentOver(ctx, time.Second)
//	p.memory_info(), p.memory_info_ex() p.MemoryInfo(), p.MemoryInfoEx()
//	p.memory_footprint()                p.Footprint()
//	p.memory_full_info()                p.MemoryFullInfo()
//	p.memory_percent("uss")             p.MemoryPercent(MemoryUSS)
//	p.memory_maps()                     p.MemoryMapsByPath()
//	p.memory_maps(grouped=False)        p.MemoryMaps()
//	p.io_counters(), p.page_faults()    p.IOCounters(), p.PageFaults()
//	p.num_ctx_switches()                p.ContextSwitches()
//	p.num_fds(), p.open_files()         p.NumFDs(), p.OpenFiles()
//	p.num_threads(), p.threads()        p.NumThreads(), p.Threads()
//	p.net_connections("tcp")            p.Connections(ConnectionTCP)
//	c.status == CONN_LISTEN             c.Status == ConnListen
//	net_connections()                   All(), and p.Connections(ConnectionInet)
//	p.send_signal(SIGHUP)               p.SendSignal(syscall.SIGHUP)
//	p.terminate(), p.kill()             p.Terminate(), p.Kill()
//	p.suspend(), p.resume()             p.Suspend(), p.Resume()
//	Popen(args)                         exec.Cmd.Start, and Open(cmd.Process.Pid)
//	p.wait(timeout=3)                   p.Wait(ctx)
//	p.wait() == -9                      status.Signal == syscall.SIGKILL
//	p.is_running()                      p.Running()
//	p == q, hash(p)                     p.Equal(q), p.ID()
//	process_iter()                      All()
//	process_iter(["name"])              All(), and p.AsMap(nil, AttrName)
//	pids(), pid_exists(pid)             PIDs(), Exists(pid)
//	wait_procs(ps, 3, callback)         WaitAll(ctx, ps, callback)
//	NoSuchProcess, ZombieProcess        ErrGone, ErrZombie
//	AccessDenied, TimeoutExpired        ErrAccessDenied, ErrTimeout
//	ValueError, NotImplementedError     ErrInvalid, ErrUnsupported
//	PROCFS_PATH                         OpenTable(path)
//
// # Errors
//
// An error about one process is an [*Error] with the PID, the name and the
// operation. With [errors.Is] it matches one of:
//
//   - [ErrGone]: there is no such process. It never existed, or it has exited and was
//     reaped.
//   - [ErrZombie]: the process has exited and is not reaped. It matches ErrGone too.
//     Many values of a zombie are 0 or empty without an error: see [Process].
//   - [ErrAccessDenied]: the kernel denied the operation.
//   - [ErrNoParent]: no parent is visible.
//   - [ErrTimeout]: the deadline of a wait passed before the process exited.
//   - [ErrTooLarge]: a file has more text than any program can be started with.
//   - [ErrUnsupported]: this kernel or operating system lacks the value.
//   - [ErrInvalid]: an argument is never valid. The error states the reason.
//   - [os.ErrClosed]: the [Process] or its [Table] is closed.
//
// # Concurrency
//
// All methods are safe for concurrent use. Reads of Cmdline, Environ, MemoryMaps,
// Footprint, and of a Name of 15 bytes or more, block while the process holds its
// memory map locked, and on some kernels most other reads during execve(2).
// [Process.WithContext], [Table.WithContext], [OpenContext] and [AllContext] limit
// the time of all reads.
//
// # Cost
//
// The comment of a method states its system calls for a small process. The files
// stat, status, statm and io of a [Process] stay open from the second read on, which
// makes 2 system calls. [Open] makes the first read of stat. A view of
// [Process.Oneshot] makes no system call for a file that it has read.
//
// # Systems
//
// The package supports Linux. On other systems opening a process fails with an
// error that matches [errors.ErrUnsupported].
package process
