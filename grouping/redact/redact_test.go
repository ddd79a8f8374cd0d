package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSecrets(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
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
		{`x --password=p@ss,word;"and'more y`, "x --password=*** y"},
		{`x --password="hunter2 y`, "x --password=*** y"},
		{`{"password":"hun\"ter2","host":"db"}`, `{"password":***,"host":"db"}`},
		{`x 'token:"hun"ter2' y`, `x 'token:***' y`},
		{"x --pass-credentials --password hunter2", "x --pass-credentials --password ***"},
		{"redis-server --requirepass hunter2", "redis-server --requirepass ***"},
		{"DB_PASS=hunter2 x", "DB_PASS=*** x"},
		{"keytool -storepass hunter2", "keytool -storepass ***"},
		{"openssl rsa -passin pass:hunter2", "openssl rsa -passin pass:***"},
		{"curl -H Authorization: Bearer hunter2 a", "curl -H Authorization: Bearer *** a"},
		{"curl -H Authorization: hunter2 a", "curl -H Authorization: *** a"},
		{"git clone https://hunter2@example.org/a", "git clone https://***@example.org/a"},
		{"psql postgres://app:hun/ter2@db/app", "psql postgres://***@db/app"},
		{"mount -o user=a,password=hunter2,ro", "mount -o user=a,password=***,ro"},

		// Text that holds no secret.
		{"mysql --password --host=db1", "mysql --password --host=db1"},
		{"psql --no-password db1", "psql --no-password db1"},
		{"x --password= --host=db1", "x --password= --host=db1"},
		{"env TOKEN= /usr/bin/a", "env TOKEN= /usr/bin/a"},
		{"vllm --max-num-batched-tokens=8192", "vllm --max-num-batched-tokens=8192"},
		{"x --pwd=/srv/a --bypass=1", "x --pwd=/srv/a --bypass=1"},
		{"git clone ssh://git@example.org/a", "git clone ssh://git@example.org/a"},
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
		if got := Secrets(tt.text); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzSecrets checks that the result contains no more secrets, that Secrets adds no
// newline and no invalid UTF-8, and that it hides the whole value of a flag.
func FuzzSecrets(f *testing.F) {
	f.Add("mysqld --password=hunter2 --port=3306")
	f.Add("a://b:c@d://e:f@g token=x token=y")
	f.Add(`"a"b`)
	f.Add("\xff\xff:'tBtoken:'tBto://0\x1c0@B't")
	f.Fuzz(func(t *testing.T, text string) {
		once := Secrets(text)
		if again := Secrets(once); again != once {
			t.Errorf("%q: got %q the second time, want %q", text, again, once)
		}
		if strings.Count(once, "\n") > strings.Count(text, "\n") || utf8.ValidString(text) && !utf8.ValidString(once) {
			t.Errorf("%q: got %q with a new line or invalid UTF-8", text, once)
		}
		if text == "" || strings.ContainsAny(text, whitespace) {
			return
		}
		if got, want := Secrets("x --password="+text), "x --password="+Mask; got != want {
			t.Errorf("value %q: got %q, want %q", text, got, want)
		}
	})
}
