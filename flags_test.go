package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that are made from the code")

// TestFlagReference holds docs/flags.md against the flags; `make generate`
// writes it anew.
func TestFlagReference(t *testing.T) {
	const file = "docs/flags.md"
	want := flagReference()
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
		t.Errorf("%s differs from the code; run `make generate`", file)
	}
}

func flagReference() string {
	var b strings.Builder
	b.WriteString(`# Flags

This page is made from the code by ` + "`make generate`" + `.

One dash or two, the value after ` + "`=`" + ` or in the next argument: ` + "`-config.path f`" + ` and ` + "`--config.path=f`" + ` are the same. Switches take a
value only after ` + "`=`" + ` (` + "`-threads=false`" + `); ` + "`--no-threads`" + ` works too. Of a flag given twice the last counts, but
` + "`web.listen-address`" + ` adds up. Anything that is no flag is refused.

| Flag | Default | Meaning |
|---|---|---|
`)
	for _, f := range newApp(new(settings)).Model().Flags {
		if f.Hidden {
			continue
		}
		value := ""
		if len(f.Default) > 0 && f.Default[0] != "" {
			value = "`" + strings.Join(f.Default, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, value, strings.ReplaceAll(f.Help, "|", "\\|"))
	}
	return b.String()
}
