package grouping

import (
	"errors"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/platform"
)

func TestNameMapping(t *testing.T) {
	const jar = `java,-jar\s+([^/]+).jar`
	tests := []struct {
		name, procnames, mapping string
		process                  *platform.Identity
		want                     string
	}{
		{"mapping without procnames", "", jar, process("java", "java", "-jar", "a.jar"), "java:a"},
		{"mapping without match", "java", `java,-Dname=(\S+)`, process("java", "java", "-jar"), noGroup},
		{"mapping without capture", "java", "java,-jar", process("java", "java", "-jar"), noGroup},
		{"capture with dashes", "upstart:-user", "upstart,(--user)", process("upstart", "upstart", "--user"), "upstart:--user"},
		{"name", "bash,java", "", process("java", "java"), "java"},
		{"other name", "bash,java", "", process("sh", "sh"), noGroup},
		{"name is not compared with argv[0]", "bash", "", process("sh", "/bin/bash"), noGroup},
		{"empty names", ",,java,", "", process("java", "java"), "java"},
		{"empty name matches none", ",,java,", "", process("", "java"), noGroup},
		{"space in a name", "bash, java", "", process(" java", "java"), " java"},
		{"first group that is not empty", "", "java,(x)?-(y)?(jar)", process("java", "java", "-jar"), "java:jar"},
		{"all groups empty", "java", "java,(x)?-jar", process("java", "java", "-jar"), noGroup},
		{"second mapping", "", "sh,(a),java,(b)", process("java", "ab"), "java:b"},
		{"last mapping of a name", "", "java,(a),java,(b)", process("java", "ab"), "java:b"},
		{"kernel thread", "", "kthreadd,(.+)", process("kthreadd"), noGroup},
		{"neither", "", "", process("java", "java"), noGroup},
		{"invalid UTF-8", "caf\xe9", "", process("caf\xe9", "a"), "caf\uFFFDe9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := NewNameMapping(tt.procnames, tt.mapping)
			if err != nil {
				t.Fatal(err)
			}
			if got := groupOf(m, tt.process); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
			if got := m.Needs(); (got == platform.IdentityArgs) != (tt.mapping != "") || got&^platform.IdentityArgs != 0 {
				t.Errorf("got fields %b, want IdentityArgs if there is a mapping", got)
			}
		})
	}
}

func TestNameMappingErrors(t *testing.T) {
	for _, mapping := range []string{"java", "java,a,b", "java,", ",a", ",", "a,b,,", "java,(", `java,\d{1,2}`} {
		t.Run(mapping, func(t *testing.T) {
			m, err := NewNameMapping("java", mapping)
			if !errors.Is(err, ErrNameMapping) || m != nil {
				t.Errorf("got %v, error %v, want an ErrNameMapping", m, err)
			}
		})
	}
	_, err := NewNameMapping("", "java,(?!a)")
	var se *syntax.Error
	if !errors.As(err, &se) || !strings.Contains(err.Error(), "lookaround") {
		t.Errorf("got error %v, want a syntax.Error with a remedy", err)
	}
}

// FuzzNameMapping checks that NewNameMapping returns either a Matcher or an error, and that
// group names are valid label values.
func FuzzNameMapping(f *testing.F) {
	f.Add("bash,java", `java,-jar\s+([^/]+).jar`, "java", "java -jar a.jar")
	f.Add("", ",,", "", "\xff")
	f.Fuzz(func(t *testing.T, procnames, mapping, comm, line string) {
		m, err := NewNameMapping(procnames, mapping)
		if (m == nil) == (err == nil) {
			t.Fatalf("got %v and error %v, want exactly one", m, err)
		}
		if err != nil {
			return
		}
		for _, id := range []*platform.Identity{process(comm), process(comm, line)} {
			if got := m.Match(id); !utf8.ValidString(got.Group) || !got.OK && got.Group != "" {
				t.Errorf("got %+v, want a valid label value", got)
			}
		}
	})
}
