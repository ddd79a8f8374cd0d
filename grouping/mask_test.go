package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

func TestMaskSecrets(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"mysqld --password=hunter2 --port=3306", "mysqld --password=*** --port=3306"},
		{"mysqld --password hunter2 --port 3306", "mysqld --password *** --port 3306"},
		{"x -passwd:hunter2", "x -passwd:***"},
		{"env AWS_SECRET_ACCESS_KEY=hunter2 run", "env AWS_SECRET_ACCESS_KEY=*** run"},
		{"run --api-key=hunter2", "run --api-key=***"},
		{"SECRET_KEY_BASE=hunter2 rails", "SECRET_KEY_BASE=*** rails"},
		{"run API_KEY='hunter2 and more' x", "run API_KEY=*** x"},
		{`{"token": "hunter2"}`, `{"token": ***}`},
		{"java -Djavax.net.ssl.keyStorePassword=hunter2 -jar a.jar", "java -Djavax.net.ssl.keyStorePassword=*** -jar a.jar"},
		{"psql postgres://app:hunter2@db/app", "psql postgres://***@db/app"},
		{"git https://hunter2:x-oauth@example.org/a?b", "git https://***@example.org/a?b"},
		{"curl 'https://a/?access_token=hunter2&b=1'", "curl 'https://a/?access_token=***&b=1'"},

		// What is no secret stays.
		{"postgres", "postgres"},
		{"postgres: app db 10.0.0.1(5432) idle", "postgres: app db 10.0.0.1(5432) idle"},
		{"java -jar password-manager.jar", "java -jar password-manager.jar"},
		{"the password is lost", "the password is lost"},
		{"http://example.org:8080/a@b", "http://example.org:8080/a@b"},
		{"ssh user@host", "ssh user@host"},
		{"tokenizer --threads=4", "tokenizer --threads=4"},
		{"x --token-file=/run/token --tokenizer bpe", "x --token-file=/run/token --tokenizer bpe"},
		{"sshd: user [priv]", "sshd: user [priv]"},
	} {
		if got := maskSecrets(tt.name); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestNamesAreMasked are names and labels that come from command lines, and not
// those that a rule spells out.
func TestNamesAreMasked(t *testing.T) {
	id := &platform.Identity{Comm: "token=1", Args: []string{"/bin/run", "--password=hunter2"}}
	for _, tt := range []struct{ text, want string }{
		{"{{.Matches.all}}", "/bin/run --password=***"},
		{"{{upper .Matches.all}}", "/BIN/RUN --PASSWORD=***"},
		{"password=fixed", "password=fixed"},
		{"{{.Comm}}", "token=1"},
	} {
		tmpl, err := parseTemplate(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		s := &subject{id: id, matches: map[string]string{"all": strings.Join(id.Args, " ")}}
		if got := tmpl.group(s).Group; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzMaskSecrets asserts that masking ends, leaves nothing to be masked, and adds
// no line and no invalid text.
func FuzzMaskSecrets(f *testing.F) {
	f.Add("mysqld --password=hunter2 --port=3306")
	f.Add("a://b:c@d://e:f@g token=x token=y")
	f.Fuzz(func(t *testing.T, name string) {
		once := maskSecrets(name)
		if again := maskSecrets(once); again != once {
			t.Errorf("%q: got %q and then %q", name, once, again)
		}
	})
}
