package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

const (
	theirDefaults = "etc/default/prometheus-process-exporter"
	ourDefaults   = "etc/default/process-exporter"
)

// TestDebianFlags runs the script of the package after its installation, with
// several files /etc/default/prometheus-process-exporter.
func TestDebianFlags(t *testing.T) {
	const config, listen = "--config.path /etc/process-exporter/all.yaml", "--web.listen-address=:9256"
	tests := []struct {
		name, theirs string
		opts         string // of the resulting file
		args         string // the last lines of the resulting file
		output       string
	}{
		{"empty", `ARGS=""`, config + " " + listen, "ARGS=''\n", ""},
		{"quoted nothing", "ARGS=' '", config + " " + listen, "ARGS=''\n", ""},
		{"comment", `#ARGS="-procnames x"`, config + " " + listen, "ARGS=''\n", ""},
		{"other flags", `ARGS="-threads=false"`, config + " " + listen, "ARGS=\"-threads=false\"\n", "copied"},
		{"names", `ARGS="-procnames bash,sshd"`, listen, "ARGS=\"-procnames bash,sshd\"\n", "copied"},
		{"mapping", `ARGS='--namemapping "java,-jar\\s+(\\S+)"'`, listen, "ARGS='--namemapping \"java,-jar\\\\s+(\\\\S+)\"'\n", "copied"},
		{"rule file", `ARGS="-config.path=/etc/mine.yml"`, listen, "ARGS=\"-config.path=/etc/mine.yml\"\n", "copied"},
		{"address", `ARGS="--web.listen-address [::1]:9300"`, config, "ARGS=\"--web.listen-address [::1]:9300\"\n", "copied"},
		{"all", "ARGS=\"-config.path=x \\\n -web.listen-address=:93\"", "", "ARGS=\"-config.path=x \\\n -web.listen-address=:93\"\n", "copied"},
		{"the last one counts", "ARGS=\"-procnames x\"\nOTHER=1\n ARGS=-threads=false", config + " " + listen, "ARGS=-threads=false\n", "copied"},
		{"similar flag", `ARGS="-web.config.path=x"`, config + " " + listen, "ARGS=\"-web.config.path=x\"\n", "copied"},
		{"open quote", "ARGS=\"-procnames x\n", config + " " + listen, "ARGS=''\n", "copy your flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, out := afterInstallation(t, tt.theirs, read(t, "systemd/process-exporter.default"))
			if !strings.Contains(text, "OPTS='"+tt.opts+"'\n") || !strings.HasSuffix(text, "\n"+tt.args) || strings.Count(text, "\nARGS=") != 1 {
				t.Errorf("got\n%s\nwant OPTS='%s' and %s", text, tt.opts, tt.args)
			}
			if !strings.Contains(out, tt.output) || tt.output == "" && out != "" {
				t.Errorf("got output %q, want %q", out, tt.output)
			}
		})
	}
	const edited = "OPTS='--config.path /etc/mine.yml'\nARGS='-threads=false'\n"
	text, out := afterInstallation(t, `ARGS="-procnames x"`, edited)
	if text != edited || !strings.Contains(out, "copy your flags") {
		t.Errorf("got output %q and\n%s\nwant a message, and the edited file", out, text)
	}
}

// TestInstallationChecksFlags runs the script of the package, with the program, for files of
// flags. It prints why the service would not start.
func TestInstallationChecksFlags(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	writeFile(t, rules, "process_names: [{comm: java}]\n", 0o644)
	tests := []struct{ name, theirs, opts, want string }{
		{"valid", `ARGS="-threads=false"`, "--config.path " + rules, ""},
		{"value of a switch", `ARGS="-threads false"`, "--config.path " + rules, "use -threads=false"},
		{"continuation", "ARGS=\"-procnames x \\\n -children false\"", "", "use -children=false"},
		{"quotes", `ARGS="-namemapping 'java,-jar\s+(\S+)' -procnames a"`, "", ""},
		{"no flags", "", "", ""},
		{"unknown flag of ours", "", "--config.pth x", "unknown flag --config.pth"},
		{"no rule file", "", "--config.path " + dir + "/absent.yaml", "absent.yaml: cannot be opened"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(testenv.BuildExporter(t), filepath.Join(root, "usr/bin/process-exporter")); err != nil {
				t.Fatal(err)
			}
			_, out := afterInstallationIn(t, root, tt.theirs, "# flags\nOPTS='"+tt.opts+"'\nARGS=''\n")
			refused := strings.Contains(out, "correct the flags in "+root+"/"+ourDefaults)
			if !strings.Contains(out, tt.want) || refused != (tt.want != "") {
				t.Errorf("got output %q, want %q", out, tt.want)
			}
		})
	}
}

// afterInstallation runs the script as dpkg does after the first installation. It
// returns our file of flags and the output.
func afterInstallation(t *testing.T, theirs, ours string) (text, out string) {
	t.Helper()
	return afterInstallationIn(t, t.TempDir(), theirs, ours)
}

// afterInstallationIn is afterInstallation in the file system root.
func afterInstallationIn(t *testing.T, root, theirs, ours string) (text, out string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "etc/default"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{theirDefaults: theirs, ourDefaults: ours} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// On a machine with systemd, the part after copy_args would start the service.
	script, _, found := strings.Cut(read(t, "packages/scripts/postinstall.sh"), "\n[ -d /run/systemd/system ]")
	if !found {
		t.Fatal("got no end of the part of the script that runs without systemd")
	}
	command := exec.Command("sh", "-c", script, "postinst", "configure", "")
	command.Env = append(os.Environ(), "DPKG_ROOT="+root)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return read(t, filepath.Join(root, ourDefaults)), string(output)
}

// chrootSetup mounts the /usr of this machine in the chroot $ROOT.
const chrootSetup = `set -ex
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$ROOT/upper/upper,workdir=$ROOT/upper/work" "$ROOT/usr"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
in_root() { chroot "$ROOT" env -u DPKG_ROOT PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
`

// upgradeScript installs Debian's package, sets its flags, and installs ours instead.
const upgradeScript = `
in_root dpkg --force-depends -i /packages/theirs.deb
cp "$ROOT/packages/flags" "$ROOT/etc/default/prometheus-process-exporter"
in_root dpkg --force-depends -i /packages/ours.deb
in_root dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' | tee "$ROOT/out/packages"
in_root sh -c '. /etc/default/process-exporter; exec /usr/bin/process-exporter $OPTS $ARGS --config.check'
in_root dpkg -P prometheus-process-exporter
cp "$ROOT/etc/default/process-exporter" "$ROOT/out/flags"
`

// TestDebianUpgrade replaces Debian's package prometheus-process-exporter by ours in a
// chroot. The flags and the rules stay in use, also after the other package is purged.
func TestDebianUpgrade(t *testing.T) {
	requireChroot(t)
	theirs := repack(t, "prometheus-process-exporter")
	root := newChroot(t)
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("packages/theirs.deb", read(t, theirs))
	put("packages/ours.deb", read(t, packageFile(t, "amd64", ".deb")))
	const theirFlags = "ARGS=\"-config.path /etc/mine.yml \\\n  -web.listen-address=127.0.0.1:9300\"\n"
	put("packages/flags", theirFlags)
	put("etc/mine.yml", "process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]\n")
	text := runInChroot(t, root, upgradeScript)
	if packages := read(t, filepath.Join(root, "out/packages")); !strings.Contains(packages, "prometheus-process-exporter ic") ||
		!strings.Contains(packages, "\nprocess-exporter ii") && !strings.HasPrefix(packages, "process-exporter ii") {
		t.Errorf("got packages\n%s\nwant ours installed and the other removed\n%s", packages, text)
	}
	flags := read(t, filepath.Join(root, "out/flags"))
	if !strings.Contains(flags, "OPTS=''\n") || !strings.HasSuffix(flags, "\n"+theirFlags) {
		t.Errorf("got flags\n%s\nwant those of the other package only\n%s", flags, text)
	}
}

// requireChroot skips the test if it cannot mount in a chroot.
func requireChroot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a package")
	}
	if os.Getuid() != 0 {
		t.Skip("requires root")
	}
	testenv.RequireProgram(t, "unshare")
	testenv.RequireNamespaces(t)
}

// runInChroot runs a script whose function in_root runs a program in the chroot.
func runInChroot(t *testing.T, root, script string) (output string) {
	t.Helper()
	command := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", chrootSetup+script)
	command.Env = append(os.Environ(), "ROOT="+root)
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text)
}

// TestRPM installs the rpm on a system with edited files of the rpm of
// ncabatoff/process-exporter, which has the same names of files. The files stay, and
// the flags and rules in them are valid.
func TestRPM(t *testing.T) {
	requireChroot(t)
	testenv.RequireProgram(t, "rpm")
	root := newChroot(t)
	writeFile(t, filepath.Join(root, "packages/ours.rpm"), read(t, packageFile(t, "amd64", ".rpm")), 0o644)
	const rules = "process_names: [{comm: bash}]\n"
	const flags = "OPTS='--config.path /etc/process-exporter/all.yaml --web.listen-address=:9300'\n"
	writeFile(t, filepath.Join(root, "etc/process-exporter/all.yaml"), rules, 0o644)
	writeFile(t, filepath.Join(root, ourDefaults), flags, 0o644)
	text := runInChroot(t, root, `
in_root rpm -i --nodeps /packages/ours.rpm
in_root rpm -q --configfiles process-exporter >"$ROOT/out/config"
in_root rpm -ql process-exporter >"$ROOT/out/files"
in_root sh -c '. /etc/default/process-exporter; exec /usr/bin/process-exporter $OPTS $ARGS --config.check'
`)
	if got := read(t, filepath.Join(root, "out/config")); got != "/etc/default/process-exporter\n/etc/process-exporter/all.yaml\n" {
		t.Errorf("got configuration files\n%s\nwant two", got)
	}
	for _, file := range []string{"/usr/bin/process-exporter", "/lib/systemd/system/process-exporter.service"} {
		if got := read(t, filepath.Join(root, "out/files")); !strings.Contains(got, file+"\n") {
			t.Errorf("got files\n%s\nwant %s", got, file)
		}
	}
	if read(t, filepath.Join(root, "etc/process-exporter/all.yaml")) != rules || read(t, filepath.Join(root, ourDefaults)) != flags {
		t.Errorf("got other rules or flags, want the edited ones\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/process-exporter/all.yaml.rpmnew")); err != nil {
		t.Errorf("got error %v, want the new rules in all.yaml.rpmnew", err)
	}
}

// repack builds the deb of an installed package from its files and scripts.
func repack(t *testing.T, name string) string {
	t.Helper()
	testenv.RequireProgram(t, "dpkg-deb")
	dir, info := t.TempDir(), "/var/lib/dpkg/info/"+name+"."
	files, err := os.ReadFile(info + "list")
	if err != nil {
		skipOrFail(t, "%s is not installed; testdata/prerequisites.sh installs it", name)
	}
	for file := range strings.FieldsSeq(string(files)) {
		switch stat, err := os.Stat(file); {
		case err != nil: // excluded from the installation, such as documentation
		case !stat.IsDir():
			writeFile(t, filepath.Join(dir, file), read(t, file), stat.Mode())
		default:
			if err := os.MkdirAll(filepath.Join(dir, file), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	control, section := "", strings.Split(mustOutput(t, "dpkg-query", "-s", name), "\n")
	for i := 0; i < len(section); i++ {
		switch {
		case strings.HasPrefix(section[i], "Status:"), strings.HasPrefix(section[i], "Conffiles:"):
			for i+1 < len(section) && strings.HasPrefix(section[i+1], " ") {
				i++
			}
		default:
			control += section[i] + "\n"
		}
	}
	writeFile(t, filepath.Join(dir, "DEBIAN/control"), strings.TrimSpace(control)+"\n", 0o644)
	for _, part := range []string{"conffiles", "preinst", "postinst", "prerm", "postrm"} {
		if text, err := os.ReadFile(info + part); err == nil {
			writeFile(t, filepath.Join(dir, "DEBIAN", part), string(text), 0o755)
		}
	}
	path := filepath.Join(t.TempDir(), name+".deb")
	mustOutput(t, "dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, path)
	return path
}
