package testenv

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A Capability is the number of a capability, see capabilities(7).
type Capability int

// The capabilities that tests require. Containers and chroots often lack them, even
// for root.
const (
	SysPtrace         Capability = 19
	SysAdmin          Capability = 21
	SysNice           Capability = 23
	Perfmon           Capability = 38
	CheckpointRestore Capability = 40 // since Linux 5.9
)

var capabilityNames = map[Capability]string{
	SysPtrace: "CAP_SYS_PTRACE", SysAdmin: "CAP_SYS_ADMIN", SysNice: "CAP_SYS_NICE", Perfmon: "CAP_PERFMON",
	CheckpointRestore: "CAP_CHECKPOINT_RESTORE",
}

// RequireCapability skips the test if this process has none of the alternatives in
// effect. With CI=true it fails the test if the user is root.
func RequireCapability(t testing.TB, alternatives ...Capability) {
	t.Helper()
	effective, err := effectiveCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range alternatives {
		if effective&(1<<c) != 0 {
			return
		}
		names = append(names, capabilityNames[c])
	}
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf("requires %s", strings.Join(names, " or "))
	}
	t.Skipf("requires %s", strings.Join(names, " or "))
}

// effectiveCapabilities returns CapEff of /proc/self/status.
func effectiveCapabilities() (uint64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "\nCapEff:\t")
	set, _, _ := strings.Cut(rest, "\n")
	if !found {
		return 0, fmt.Errorf("got no CapEff in %s", text)
	}
	return strconv.ParseUint(set, 16, 64)
}
