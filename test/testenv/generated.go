package testenv

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated files")

// CheckGenerated compares a file of the repository with the text that the code generates.
// With the flag -update it writes the file first.
func CheckGenerated(t testing.TB, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the text that the code generates; run `make generate`", file)
	}
}
