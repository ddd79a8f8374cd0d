package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestHugeCommandLines starts processes whose command lines appear to have 16 GiB, without using
// memory, and some with a megabyte of data. They belong to the group of their first argument. Neither
// the memory of the exporter nor the scrape duration grows.
func TestHugeCommandLines(t *testing.T) {
	for _, source := range []string{"procfs", "bpf"} {
		t.Run(source, func(t *testing.T) {
			if source == "bpf" {
				requireBPF(t)
			}
			compareHugeCommandLines(t, source)
		})
	}
}

func compareHugeCommandLines(t *testing.T, source string) {
	count := 5
	if chaos {
		count = 50
	}
	token := uniqueToken()
	rules := fmt.Sprintf("process_names:\n- {name: forged, comm: [%s], cmdline: ['^forged']}\n- {name: '{{.ExeBase}}', cmdline: ['.+']}\n",
		token)
	r := startSource(t, source, "--config.path", writeFile(t, "c.yml", rules))
	for range 20 { // lets the memory of the exporter grow to its usual size
		r.Scrape()
	}
	for range count {
		testenv.StartEdgeCase(t, nil, "name=plain")
	}
	plain := r.timeScrapes(12)
	before := r.resources().residentKB
	for i := range count {
		letters := 4096
		if i%10 == 0 {
			letters = 1 << 20 // exceeds the read limit
		}
		testenv.StartEdgeCase(t, nil, "name="+token, fmt.Sprintf("hugeargs=%d,%d", int64(16<<30), letters))
	}
	forged := r.timeScrapes(12)
	grown := r.resources().residentKB - before
	want, body := fmt.Sprintf(`num_procs{groupname="forged"} %d`+"\n", count), ""
	testenv.WaitFor(t, want, func() bool { body = r.Scrape(); return strings.Contains(body, want) },
		func() string {
			return fmt.Sprintf("%q", linesWith(strings.Split(body, "\n"), `num_procs{groupname="forged"`))
		})
	t.Logf("%d plain processes: %v, median %v; as many with huge command lines: %v, median %v; RSS %+d KiB", count, plain[:3],
		median(plain), forged[:3], median(forged), grown)
	if checkTimes && (grown > 4<<10 || median(forged) > median(plain)+10*time.Millisecond) {
		t.Error("got too much memory, or scrapes that are too slow")
	}
}

// timeScrapes scrapes several times and returns the duration of each scrape.
func (r *instance) timeScrapes(scrapes int) (times []time.Duration) {
	r.t.Helper()
	for range scrapes {
		start := time.Now()
		r.Scrape()
		times = append(times, time.Since(start))
	}
	return times
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}
