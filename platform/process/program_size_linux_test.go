package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestDependencies checks that the package links neither the BPF source nor an HTTP
// client.
func TestDependencies(t *testing.T) {
	deps := strings.Fields(testenv.Output(t, "go", "list", "-deps", "."))
	for _, dep := range deps {
		switch {
		case strings.HasPrefix(dep, "github.com/cilium/"), dep == "net/http", strings.HasSuffix(dep, "/platform"):
			t.Errorf("got dependency %s, want none on BPF, HTTP or package platform", dep)
		}
	}
}

// TestProgramSize builds a stripped program that prints all attributes of itself,
// runs it and checks its size.
func TestProgramSize(t *testing.T) {
	const maxBytes = 4_500_000
	program := filepath.Join(t.TempDir(), "printself")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", program, "./testdata/printself")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= maxBytes {
		t.Errorf("got a program of %d bytes, want less than %d", info.Size(), maxBytes)
	}
	out := must[[]byte](t)(exec.Command(program).Output())
	if text := string(out); !strings.HasPrefix(text, "pid ") || !strings.Contains(text, "\nppid "+strconv.Itoa(os.Getpid())+"\n") {
		t.Errorf("got %.200q, want the attributes of the program", text)
	}
}
