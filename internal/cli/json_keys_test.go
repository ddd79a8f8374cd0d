package cli

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestJSONKeys checks that all commands print keys of one form, and not the names of Go fields.
func TestJSONKeys(t *testing.T) {
	requireLinux(t)
	form := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	values := []string{"labels", "captures", "states", "threads_wchan", "rlimits"} // their keys are data
	self := strconv.Itoa(os.Getpid())
	for _, args := range []string{
		"explain --json " + self, "groups --json --pause=1ms", "inspect " + patient + " --json " + self,
		"top --json --interval=1s --source=procfs",
	} {
		status, out, errs := runArgs(t, strings.Fields(args)...)
		var value any
		if err := json.Unmarshal([]byte(out), &value); status != 0 || err != nil {
			t.Fatalf("%s: got status %d, %v, %s", args, status, err, errs)
		}
		n := 0
		var check func(value any)
		check = func(value any) {
			switch v := value.(type) {
			case []any:
				for _, element := range v {
					check(element)
				}
			case map[string]any:
				for key, element := range v {
					if n++; !form.MatchString(key) {
						t.Errorf("%s: got key %q, want one that matches %s", args, key, form)
					}
					if !slices.Contains(values, key) {
						check(element)
					}
				}
			}
		}
		if check(value); n < 10 {
			t.Errorf("%s: got %d keys, want at least 10", args, n)
		}
	}
}
