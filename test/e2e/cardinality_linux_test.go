package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startWithLimits starts an exporter with limits on the number of groups or thread names. With make
// chaos the limits are the defaults.
func startWithLimits(t *testing.T, source, rules string, limits ...string) *instance {
	t.Helper()
	path := plainBinary(t)
	args := []string{source, "--web.listen-address=127.0.0.1:0", "--children=false", "--config.path", writeFile(t, "rules.yaml", rules)}
	if !chaos {
		args = append(args, limits...)
	}
	r := startCommand(t, exec.Command(path, args...))
	r.URL = r.waitForURL()
	return r
}

// startAsleep is like startManyProcs, and waits until all threads of the children sleep. The last
// page faults of a child come after its report that it is ready.
func startAsleep(t *testing.T, kind string, counts ...int) *exec.Cmd {
	t.Helper()
	command := startManyProcs(t, kind, counts...)
	for _, pid := range children(t, command.Process.Pid) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			path := fmt.Sprintf("%d/task/%s", pid, task.Name())
			testenv.WaitFor(t, path+" to sleep", func() bool { return statOf(t, path).State == 'S' })
		}
	}
	return command
}

// checkSize fails the test if the response is larger than 8 MiB, or the exporter used more than 128
// MiB.
func checkSize(t *testing.T, r *instance, text string) {
	t.Helper()
	memory := statusKB(t, r.PID, "VmHWM")
	t.Logf("response %d KiB, peak memory %d KiB", len(text)>>10, memory)
	if len(text) > 8<<20 {
		t.Errorf("got a response of %d bytes, want at most 8 MiB", len(text))
	}
	if memory > 128<<10 {
		t.Errorf("got a peak of %d KiB of memory, want at most 128 MiB", memory)
	}
}

// TestManyUsers starts processes of thousands of users, with one group each. The groups that existed
// first keep their names up to the group limit. All other processes are summed in the group _other, to
// the last page fault.
func TestManyUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("requires root: changes the user of processes")
	}
	eachSource(t, checkUserGroups)
}

// checkUserGroups runs TestManyUsers with one source.
func checkUserGroups(t *testing.T, source string) {
	count, limit := 200, 50
	if chaos {
		count, limit = 10_000, 2_000
	}
	const early, first, firstEarly = 20, 100_000, 90_000
	allowPIDs(t, count)
	r := startWithLimits(t, source, "process_names: [{name: 'user {{.Username}}', comm: manyprocs}]\n", "--max-groups="+strconv.Itoa(limit))
	last := make(sampleSet)
	last.update(t, r.Scrape())
	startManyProcs(t, "users", early, firstEarly)
	last.update(t, r.Scrape())
	many := startAsleep(t, "users", count, first)
	last.update(t, r.Scrape())
	text := r.Scrape()
	series := last.update(t, text)

	of := func(metric, group string) (value float64, found bool) {
		value, found = series[fmt.Sprintf("namedprocess_namegroup_%s{groupname=%q}", metric, group)]
		return value, found
	}
	groups := 0
	for key := range series {
		if strings.HasPrefix(key, "namedprocess_namegroup_num_procs{") {
			groups++
		}
	}
	if groups != limit+1 {
		t.Errorf("got %d groups, want %d and the group _other", groups, limit)
	}
	for i := range early {
		if got, _ := of("num_procs", fmt.Sprintf("user %d", firstEarly+i)); got != 1 {
			t.Errorf("got %v processes of user %d, which was seen first, want 1", got, firstEarly+i)
		}
	}
	var others, faults float64
	for _, pid := range children(t, many.Process.Pid) {
		uid := procUID(t, pid)
		if got, found := of("num_procs", fmt.Sprintf("user %d", uid)); !found {
			others++
			faults += float64(statOf(t, strconv.Itoa(pid)).MinorFaults)
		} else if got != 1 {
			t.Errorf("got %v processes of user %d, want 1", got, uid)
		}
	}
	if want := float64(count + early + 1 - limit); others != want { // and the parent, which belongs to root
		t.Errorf("got %v users without a group, want %v", others, want)
	}
	for metric, want := range map[string]float64{"num_procs": others, "num_threads": others, "minor_page_faults_total": faults} {
		if got, _ := of(metric, "_other"); got != want {
			t.Errorf("%s of group _other: got %v, want %v", metric, got, want)
		}
	}
	if got := series["namedprocess_exporter_group_limit_hits_total{}"]; got != others {
		t.Errorf("got %v group limit hits, want %v", got, others)
	}
	t.Logf("%d groups; group _other has %v processes and %v page faults", groups, others, faults)
	checkSize(t, r, text)
}

func procUID(t *testing.T, pid int) (uid int) {
	t.Helper()
	for _, line := range strings.Split(procText(t, pid, "status"), "\n") {
		if n, _ := fmt.Sscanf(line, "Uid: %d", &uid); n == 1 {
			return uid
		}
	}
	t.Fatalf("process %d has no Uid line in its status", pid)
	return 0
}

// TestManyThreadNames starts a few processes with thousands of threads, each with its own name. Names
// are exported up to the limit. All other threads are summed under the name _other, to the last page
// fault.
func TestManyThreadNames(t *testing.T) {
	eachSource(t, checkThreadNames)
}

// checkThreadNames runs TestManyThreadNames with one source.
func checkThreadNames(t *testing.T, source string) {
	procs, threads, inGroup, inAll := 2, 250, 1_000, 100
	if chaos {
		procs, threads, inAll = 5, 10_000, 20_000
	}
	allowPIDs(t, procs*threads)
	r := startWithLimits(t, source,
		"process_names: [{name: '{{.Comm}}', comm: [manyprocs0, manyprocs1, manyprocs2, manyprocs3, manyprocs4]}, {name: early, cmdline: "+
			"'workload early$'}]\n",
		"--max-thread-names="+strconv.Itoa(inAll))
	early := startWorker(t, "early")
	early.do("thread first 0")
	early.do("thread second 0")
	last := make(sampleSet)
	last.update(t, r.Scrape())
	many := startAsleep(t, "named", procs, threads)
	last.update(t, r.Scrape())
	text := r.Scrape()
	series := last.update(t, text)

	for _, name := range []string{"first", "second"} {
		if got, _ := series.threadCount("early", name); got != 1 {
			t.Errorf("got %v threads named %s, which was seen first, want 1", got, name)
		}
	}
	names, earlyNames, others := 0, 0, 0.
	for key := range series {
		if !strings.HasPrefix(key, "namedprocess_namegroup_thread_count{") || strings.Contains(key, `"_other"`) {
			continue
		}
		if names++; strings.Contains(key, `groupname="early"`) {
			earlyNames++
		}
	}
	for _, pid := range children(t, many.Process.Pid) {
		others += checkThreadsOf(t, series, pid, threads)
	}
	// The name _other of each group counts as one name.
	if most := min(inAll, procs*inGroup+earlyNames); names > most || names < most-procs {
		t.Errorf("got %d names, want the limit, %d", names, most)
	}
	if got := series["namedprocess_exporter_thread_name_limit_hits_total{}"]; got != others {
		t.Errorf("got %v thread name limit hits, want %v", got, others)
	}
	t.Logf("%d names, %v threads named _other", names, others)
	checkSize(t, r, text)
}

// threadCount returns the number of threads of a group with a name.
func (s sampleSet) threadCount(group, thread string) (value float64, found bool) {
	value, found = s[fmt.Sprintf("namedprocess_namegroup_thread_count{groupname=%q,threadname=%q}", group, thread)]
	return value, found
}

// checkThreadsOf compares the threads of a process with the series of its group. It returns the number
// of threads that are summed under the name _other.
func checkThreadsOf(t *testing.T, series sampleSet, pid, threads int) (others float64) {
	t.Helper()
	group := procText(t, pid, "comm")
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var without, faults float64
	for _, task := range tasks {
		st := statOf(t, fmt.Sprintf("%d/task/%s", pid, task.Name()))
		if got, found := series.threadCount(group, string(st.Comm)); !found {
			without++
			faults += float64(st.MinorFaults)
		} else if got != 1 {
			t.Errorf("got %v threads named %s, want 1", got, st.Comm)
		}
	}
	if got, _ := series.threadCount(group, "_other"); got != without || len(tasks) != threads {
		t.Errorf("%s: got %v threads named _other, want %v of %d", group, got, without, len(tasks))
	}
	key := fmt.Sprintf("namedprocess_namegroup_thread_minor_page_faults_total{groupname=%q,threadname=\"_other\"}", group)
	if got := series[key]; got != faults {
		t.Errorf("%s: got %v page faults of threads named _other, want %v", group, got, faults)
	}
	if got := len(tasks) - int(without); got > 1_000 {
		t.Errorf("%s: got %d names, want at most 1000", group, got)
	}
	return without
}
