package appname

import (
	"strings"
	"testing"
)

// commandLines separate arguments by |.
var commandLines = []struct{ line, want string }{
	{"/usr/bin/java|-jar|/opt/shop/shop-1.2.3.jar", "shop-1.2.3"},
	{"java|-Xmx1g|-XX:+UseG1GC|-Dspring.profiles.active=prod|-jar|app.jar|--server.port=80", "app"},
	{"java|-jar|-Xmx1g|shop.war", "shop"},
	{"java|-cp|/a.jar:/b/*|com.example.Main|x", "com.example.Main"},
	{"java|-classpath|/a.jar|org.apache.catalina.startup.Bootstrap|start", "org.apache.catalina.startup.Bootstrap"},
	{"java|--class-path=/a.jar|Main", "Main"},
	{"java|--module-path|mods|-m|com.greet/com.greet.Main", "com.greet.Main"},
	{"java|-p|mods|--module|com.greet", "com.greet"},
	{"java|--module=com.greet/com.greet.Main", "com.greet.Main"},
	{"java|--add-opens|java.base/java.lang=ALL-UNNAMED|-javaagent:/x.jar|-jar|a.jar", "a"},
	{"java|--add-opens=java.base/java.lang=ALL-UNNAMED|@/opt/args|Main", "Main"},
	{"java|Hello.java", "Hello"},
	{"java|-version", ""},
	{"java", ""},
	{"java|-cp", ""},
	{"java|-jar", ""},
	{"java|-m", ""},

	{"python3|/srv/worker.py|--n=1", "worker"},
	{"/venv/bin/python3.11|-u|worker.py", "worker"},
	{"python|-W|ignore|-X|dev|-OO|worker.py", "worker"},
	{"python|-Wignore|-Xdev|worker.pyc", "worker"},
	{"python2.7|-Q|new|/usr/sbin/denyhosts", "denyhosts"},
	{"python3|--check-hash-based-pycs|always|x.py", "x"},
	{"python3|-m|http.server|8000", "http.server"},
	{"python3|-mhttp.server", "http.server"},
	{"python3|-um|http.server", "http.server"},
	{"python3|-c|import time|x.py", ""},
	{"python3|-uc|import time", ""},
	{"python3|-", ""},
	{"python3|/usr/bin/supervisord|-c|/etc/supervisord.conf", "supervisord"},
	{"python3|/srv/shop/__main__.py", "shop"},
	{"python3|__main__.py", ""},
	{"pypy3|tool.py", "tool"},
	{"python3", ""},
	{"python3|-m", ""},
	{"python3|-X", ""},

	{"python3|/venv/bin/gunicorn|-w|4|-b|0.0.0.0:80|shop.wsgi:application", "shop.wsgi:application"},
	{"python3|/venv/bin/gunicorn|--workers=4|--preload|-k|uvicorn.workers.UvicornWorker|main:app", "main:app"},
	{"python3|/venv/bin/gunicorn|-w4|--no-sendfile|main:app", "main:app"},
	{"python3|/venv/bin/gunicorn|--name|shop|main:app", "shop"},
	{"python3|/venv/bin/gunicorn|-c|conf.py", "gunicorn"},
	{"gunicorn: master [shop]", "shop"},
	{"gunicorn: worker [main:app]", "main:app"},
	{"gunicorn: arbiter", "gunicorn"},
	{"python3|/usr/bin/uvicorn|main:app|--port|80", "main:app"},
	{"python3|-m|uvicorn|--host|0.0.0.0|--reload|main:app", "main:app"},
	{"uvicorn main:app", "main:app"},
	{"python3|-m|hypercorn|-b|:80|main:app", "main:app"},
	{"python3|/usr/bin/daphne|-p|8001|shop.asgi:application", "shop.asgi:application"},
	{"python3|-m|celery|-A|shop|worker", "shop"},
	{"python3|/usr/bin/celery|--app=shop.tasks|beat", "shop.tasks"},
	{"python3|/usr/bin/celery|-Ashop|worker|-c|4", "shop"},
	{"python3|/usr/bin/celery|worker", "celery"},
	{"celery worker -A shop", "shop"},
	{"[celeryd: celery@host:MainProcess] -active- (celery -A shop worker)", "shop"},
	{"[celeryd: mail@host:ForkPoolWorker-1]", "mail"},
	{"[celeryd: ", ""},
	{"python3|-m|flask|--app|shop|run", "shop"},
	{"python3|-m|flask|run", "flask"},
	{"uwsgi|--http|:80|--module|shop.wsgi", "shop.wsgi"},
	{"uwsgi|--wsgi-file|/srv/shop.py", "shop"},
	{"/usr/bin/uwsgi-core|--ini|/usr/share/uwsgi/conf/default.ini|--ini|/etc/uwsgi/apps-enabled/shop.ini|--daemonize|/x.log", "shop"},
	{"uwsgi|--ini=shop.ini", "shop"},
	{"uwsgi|shop.ini|--http|:80", "shop"},
	{"uwsgi|--http|:80", "uwsgi"},
	{"uWSGI worker 1", "uwsgi"},

	{"node|/srv/shop/worker.js", "worker"},
	{"/usr/bin/node|/srv/shop/index.js", "shop"},
	{"node|/srv/shop/dist/src/server.js", "shop"},
	{"node|/usr/src/app/main.mjs", "app"},
	{"node|dist/main.js", "main"},
	{"node|./server.js", "server"},
	{"python3|/srv/orders/main.py", "orders"},
	{"python3|/srv/billing/src/main.py", "billing"},
	{"python3|/srv/shop/manage.py|runserver", "shop"},
	{"python3|manage.py|runserver", "manage"},
	{"python3|/srv/main.py", "main"},
	{"python3|/app/main.py", "app"},
	{"python3|/srv/shop/__main__.py", "shop"},
	{"java|-jar|/srv/orders/app.jar", "orders"},
	{"java|-jar|/srv/orders/target/app.jar", "orders"},
	{"java|-jar|/app.jar", "app"},
	{"sh|/srv/orders/run.sh", "orders"},
	{"sh|/usr/local/bin/run.sh", "run"},
	{"ruby|/srv/orders/app.rb", "orders"},
	{"perl|/srv/orders/bin/start.pl", "orders"},
	{"php|/srv/orders/index.php", "orders"},
	{"node|../index.js", "index"},
	{"node|/srv/shop", "shop"},
	{"node|/srv/shop/", "shop"},
	{"node|.", ""},
	{"node|--require|./tracing.js|--max-old-space-size=4096|/srv/shop/index.js", "shop"},
	{"node|-r|dotenv/config|-C|dev|w.ts", "w"},
	{"node|--import=tsx|w.ts", "w"},
	{"node|-e|1", ""},
	{"node|-pe|1", ""},
	{"node|--eval|1|x.js", ""},
	{"node|--eval=1", ""},
	{"node|--|-x.js", "-x"},
	{"node|/srv/shop/node_modules/.bin/next|start", "next"},
	{"node /srv/shop/server.js", "shop"},
	{"node /srv/shop/server.js||", "shop"},
	{"npm run start", ""},
	{"node", ""},
	{"deno|run|-A|--config|d.json|/srv/shop/main.ts", "shop"},
	{"deno|run|-r|w.ts", "w"},
	{"deno|task|start", "start"},
	{"deno|w.ts", "w"},
	{"deno|eval|1", ""},
	{"deno|run|https://example.org/std/file_server.ts", "file_server"},
	{"bun|run|-r|./x.ts|dev", "dev"},
	{"bun|--watch|w.tsx", "w"},
	{"bun|-e|1", ""},

	{"ruby|/srv/job.rb", "job"},
	{"ruby3.1|-I|lib|-ropenssl|-W0|job.rb", "job"},
	{"ruby|-ne|puts 1", ""},
	{"ruby|-l0ne|puts 1", ""},
	{"perl|-0777ne|print", ""},
	{"ruby|-S|rake", "rake"},
	{"ruby|-i.bak|x.rb", "x"},
	{"ruby|/srv/shop/bin/rails|server", "rails"},
	{"ruby|/usr/bin/bundle|exec|/gems/bin/puma|-C|x.rb", "puma"},
	{"ruby|/usr/bin/bundle|exec", "bundle"},
	{"puma 5.6.4 (tcp://0.0.0.0:3000) [shop]", "shop"},
	{"puma 5.6.4 (tcp://[::]:3000) [shop]", "shop"},
	{"puma 5.6.4 (tcp://[::]:3000)", "puma"},
	{"puma: cluster worker 0: 123 [shop]", "shop"},
	{"unicorn master -c config/unicorn.rb -D", "unicorn"},
	{"unicorn worker[0] -c config/unicorn.rb -D", "unicorn"},
	{"sidekiq 6.5.1 shop [0 of 5 busy]", "shop"},
	{"sidekiq 6.5.1  [0 of 5 busy]", "sidekiq"},

	{"/usr/bin/perl|-T|-w|/usr/sbin/amavisd", "amavisd"},
	{"perl|-Mstrict|-I|lib|-I/x|job.pl", "job"},
	{"perl|-lane|print|x", ""},
	{"perl|-pi.bak|-e|s/a/b/|x", ""},
	{"php|/srv/shop/artisan|queue:work", "artisan"},
	{"php8.2|-d|memory_limit=-1|-dx=1|job.php", "job"},
	{"php|-f|job.php|x", "job"},
	{"php|--file=job.php", "job"},
	{"php|--file|job.php", "job"},
	{"php|-r|echo 1;", ""},
	{"php|-S|:80|-t|public|router.php", "router"},
	{"php|composer.phar|install", "composer"},
	{"php-fpm: pool www", "www"},
	{"php-fpm: pool my shop   ", "my shop"},
	{"php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)", "php-fpm"},

	{"/bin/sh|/usr/local/bin/backup.sh|x", "backup"},
	{"bash|-e|-o|pipefail|run", "run"},
	{"bash|-eo|pipefail|+O|extglob|+x|run.sh", "run"},
	{"bash|--rcfile|x|run.sh", "run"},
	{"bash|-c|sleep 1|run.sh", ""},
	{"bash|-lc|sleep 1", ""},
	{"sh|-s|run.sh", ""},
	{"-bash", ""},
	{"/bin/busybox|sh|run.sh", "run"},
	{"/bin/busybox", ""},
	{"busybox|httpd|-f", ""},

	{"dotnet|/app/Shop.Web.dll|--urls=x", "Shop.Web"},
	{"dotnet|exec|--depsfile|x.json|Shop.dll", "Shop"},
	{"dotnet|--roll-forward|Major|Shop.dll", "Shop"},
	{"dotnet|run|--project|src/Web/Web.csproj|--|-p", "Web"},
	{"dotnet|run", ""},
	{"dotnet|build", ""},
	{"mono|--debug|--config|x|/opt/Sonarr.exe|-nobrowser", "Sonarr"},
	{"lua5.4|-e|x=1|-l|y|job.lua", "job"},
	{"luajit|-e|x=1", ""},
	{"/usr/lib/R/bin/exec/R|--no-echo|--no-restore|--file=job.R|--args|x", "job"},
	{"R|--args|x", ""},
	{"Rscript|--vanilla|job.R", "job"},
	{"Rscript|-e|1", ""},
	{"/usr/lib/erlang/erts-13/bin/beam.smp|-W|w|--|-root|/usr|-progname|erl|--|-s|rabbit|boot|-sname|rabbit@host", "rabbit"},
	{"beam.smp|--|-name|shop@127.0.0.1|-s|elixir", "shop"},
	{"beam.smp|--|-noshell|-s|yaws", "yaws"},
	{"beam.smp|--|-s|elixir|start_cli|-extra|--no-halt|/usr/bin/mix|phx.server", "mix"},
	{"beam.smp|--|-sname", ""},

	{"", ""},
	{"|||", ""},
	{"python3||", ""},
	{"python3|/", ""},
	{"python3|..", ""},
	{"python3|.py", ".py"},
	{"-", ""},
	{"/", ""},
	{"17", ""},
	{"nginx: worker process", ""},
	{"nginx|-g|daemon off;", ""},
	{"sshd: bob@pts/0", ""},
	{"pythonista|x.py", ""},
	{"puma|-C|x.rb", ""},
	{"sidekiq is not running", ""},
	{"caf\xe9|x.py", ""},
	{"python3|caf\xe9.py", "caf\xe9"},
}

func TestFind(t *testing.T) {
	for _, tt := range commandLines {
		t.Run(tt.line, func(t *testing.T) {
			if got := Find("", strings.Split(tt.line, "|")); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFindByExecutable covers interpreters that the first argument does not name.
func TestFindByExecutable(t *testing.T) {
	tests := []struct {
		name, comm string
		args       []string
		want       string
	}{
		{"no arguments", "python3", nil, ""},
		{"first argument of the application", "java", []string{"elasticsearch", "-cp", "x", "org.Main"}, "org.Main"},
		{"another first argument", "node", []string{"x", "/srv/job.js"}, "job"},
		{"unknown title", "mytool", []string{"mytool: worker 3"}, ""},
		{"the first argument decides", "java", []string{"python3", "job.py"}, "job"},
		{"a program of busybox", "ls", []string{"ls", "sh", "x"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Find(tt.comm, tt.args); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFindLargeCommandLines checks that long and numerous arguments are handled.
func TestFindLargeCommandLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	many := func(first string, others ...string) []string {
		args := []string{first}
		for len(args) < 1<<16 {
			args = append(args, others...)
		}
		return args
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"long program", []string{long}, ""},
		{"long script", []string{"python3", "/" + long + ".py"}, long},
		{"long options", []string{"ruby", "-" + long, "--" + long, "x.rb"}, "x"},
		{"long title", []string{"gunicorn: " + long + " [app]"}, "gunicorn"},
		{"title of many fields", []string{"node " + strings.Repeat("- ", 1<<19)}, ""},
		{"brackets", []string{"puma: " + strings.Repeat("[", 1<<20)}, "puma"},
		{"generic path", []string{"node", strings.Repeat("/src", 1<<18) + "/index.js"}, "index"},
		{"slashes", []string{"node", strings.Repeat("/", 1<<20) + "index.js"}, "index"},
		{"slashes behind a generic directory", []string{"node", "/src" + strings.Repeat("/", 1<<20) + "index.js"}, "index"},
		{"nested busybox", many("busybox", "busybox"), ""},
		{"options only", many("python3", "-u"), ""},
		{"options of java", many("java", "-cp", "x", "@x"), ""},
		{"modules", many("java", "-m"), "-m"},
		{"empty arguments", many("uwsgi", ""), "uwsgi"},
		{"nodes", many("beam.smp", "-extra"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Find("x", tt.args); got != tt.want {
				t.Errorf("got %.100q of %d bytes, want %.100q", got, len(got), tt.want)
			}
		})
	}
}

// FuzzFind checks that the name of an application is a part of one argument, or
// the name of a known server.
func FuzzFind(f *testing.F) {
	for _, tt := range commandLines {
		f.Add("sh", tt.line)
	}
	servers := []string{"gunicorn", "puma", "sidekiq", "unicorn", "php-fpm", "uwsgi", "uvicorn", "hypercorn", "daphne", "celery", "flask"}
	f.Fuzz(func(t *testing.T, comm, line string) {
		app := Find(comm, strings.Split(line, "|"))
		if strings.Contains(line, app) && !strings.Contains(app, "|") {
			return
		}
		for _, server := range servers {
			if app == server {
				return
			}
		}
		t.Errorf("%q, %q: got %q, want a part of an argument or the name of a server", comm, line, app)
	})
}
