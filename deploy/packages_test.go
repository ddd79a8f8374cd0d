package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// releaseTools builds the programs that release.sh uses, once.
var releaseTools = sync.OnceValues(func() ([]string, error) {
	build := exec.Command("go", "build", "-o", testenv.BuildDir()+"/",
		"github.com/goreleaser/nfpm/v2/cmd/nfpm", "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod")
	build.Dir = "packages"
	out, err := build.CombinedOutput()
	if err != nil {
		return nil, &buildError{string(out), err}
	}
	return []string{"NFPM=" + testenv.BuildDir() + "/nfpm", "CYCLONEDX=" + testenv.BuildDir() + "/cyclonedx-gomod"}, nil
})

type buildError struct {
	text string
	err  error
}

func (e *buildError) Error() string { return "go build: " + e.err.Error() + "\n" + e.text }

// release runs release.sh of the repository at root and returns the directory of
// the result. Without architectures it builds all of them.
func release(t *testing.T, root, version string, architectures ...string) string {
	t.Helper()
	out := t.TempDir()
	releaseTo(t, out, root, version, architectures...)
	return out
}

// releaseTo runs release.sh with the output directory out.
func releaseTo(t *testing.T, out, root, version string, architectures ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds packages")
	}
	testenv.RequireProgram(t, "bash")
	env, err := releaseTools()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(root, "deploy/packages/release.sh"), append([]string{out}, architectures...)...)
	command.Env = append(append(os.Environ(), env...), "VERSION="+version, "REVISION=0123456789",
		"SOURCE_DATE_EPOCH=1700000000", "GOTOOLCHAIN=local", "SIGNING_KEY="+signingKey(t))
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("release.sh: %v\n%s", err, text)
	}
}

// signingKey returns the path of the key that signs the releases of tests. It creates
// the key once.
func signingKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(testenv.BuildDir(), "signing-key")
	if _, err := os.Stat(path); err != nil {
		mustOutput(t, testenv.RequireProgram(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
	}
	return path
}

// releasedVersion is the version of the release that the tests share.
const releasedVersion = "9.8.7"

// sharedRelease returns the directory of the release for one architecture. Tests share
// the result.
func sharedRelease(t *testing.T, arch string) string {
	t.Helper()
	dir := filepath.Join(testenv.BuildDir(), "release-"+arch)
	if _, err := os.Stat(filepath.Join(dir, "checksums.txt.sig")); err == nil {
		return dir
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	releaseTo(t, dir, root, releasedVersion, arch)
	return dir
}

// packageFile returns the path of a package of the shared release, such as the one for
// amd64 with the suffix .deb.
func packageFile(t *testing.T, arch, suffix string) string {
	t.Helper()
	return filepath.Join(sharedRelease(t, arch), "process-exporter_"+releasedVersion+"_linux_"+arch+suffix)
}

// architectures are the architectures of a release.
var architectures = []string{"amd64", "arm64", "armv7", "386", "ppc64le", "s390x", "riscv64"}

// releasedArchitectures returns the architectures whose release the tests build. Each takes a
// minute without a build cache. armv7 has 32 bits, and another name in the packages.
// TestArchitecturesCompile covers the others.
func releasedArchitectures() []string {
	if os.Getenv("CI") == "true" {
		return []string{"amd64", "arm64", "armv7"}
	}
	return []string{"amd64", "armv7"}
}

// TestReleaseArchitectures checks that release.sh builds all architectures by default.
func TestReleaseArchitectures(t *testing.T) {
	if want := "architectures=(" + strings.Join(architectures, " ") + ")\n"; !strings.Contains(read(t, "packages/release.sh"), want) {
		t.Errorf("got no %s in release.sh", want)
	}
}

// TestReleaseIsReproducible compares the release with a build of two architectures in
// a copy of the repository, whose files have other modification times.
func TestReleaseIsReproducible(t *testing.T) {
	var sums string
	for _, arch := range releasedArchitectures() {
		dir := sharedRelease(t, arch)
		own := read(t, filepath.Join(dir, "checksums.txt"))
		sums += own
		// Installers of the predecessor use the same file names.
		names := []string{"process-exporter-9.8.7.linux-" + arch + ".tar.gz"}
		for _, kind := range []string{".deb", ".rpm", ".apk"} {
			names = append(names, "process-exporter_9.8.7_linux_"+arch+kind)
		}
		for _, name := range names {
			if !strings.Contains(own, "  "+name+"\n") {
				t.Errorf("got no %s in %s", name, own)
			}
		}
		checkSBOM(t, filepath.Join(dir, "process-exporter-9.8.7.linux-"+arch+".cdx.json"))
		check := exec.Command("sha256sum", "--check", "--strict", "checksums.txt")
		check.Dir = dir
		if text, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, text)
		}
	}
	second := release(t, copyRepository(t), releasedVersion, "amd64", "armv7")
	for line := range strings.Lines(read(t, filepath.Join(second, "checksums.txt"))) {
		if !strings.Contains(sums, line) {
			t.Errorf("two builds differ: got %s in the copy, want a line of\n%s", line, sums)
		}
	}
}

// TestReleaseIsSigned verifies the signature of the checksums as in
// docs/security.md, and that it is invalid for other checksums.
func TestReleaseIsSigned(t *testing.T) {
	dir := sharedRelease(t, "amd64")
	signers := write(t, "signers", "release@example.org "+read(t, signingKey(t)+".pub"))
	verify := func(text string) error {
		command := exec.Command("ssh-keygen", "-Y", "verify", "-n", "file", "-f", signers,
			"-I", "release@example.org", "-s", filepath.Join(dir, "checksums.txt.sig"))
		command.Stdin = strings.NewReader(text)
		return command.Run()
	}
	sums := read(t, filepath.Join(dir, "checksums.txt"))
	if err := verify(sums); err != nil {
		t.Errorf("got %v for the checksums, want a valid signature", err)
	}
	if verify(sums+"\n") == nil {
		t.Error("got a valid signature for other checksums, want an error")
	}
}

// checkSBOM checks that the bill of materials lists the modules of go.mod.
func checkSBOM(t *testing.T, path string) {
	t.Helper()
	var bill struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(read(t, path)), &bill); err != nil {
		t.Fatal(err)
	}
	module := read(t, "../go.mod")
	found := 0
	for _, c := range bill.Components {
		if strings.Contains(module, c.Name+" "+c.Version) {
			found++
		}
	}
	if bill.BOMFormat != "CycloneDX" || found < 10 {
		t.Errorf("got format %q and %d modules of go.mod, want CycloneDX and at least 10", bill.BOMFormat, found)
	}
}

// TestPackagesHaveBothNames checks that deb, rpm and apk packages provide the program, its manual
// page and its completion as process-exporter and process_exporter, and tarballs the program.
func TestPackagesHaveBothNames(t *testing.T) {
	dpkg := testenv.RequireProgram(t, "dpkg")
	out, dir := sharedRelease(t, runtime.GOARCH), t.TempDir()
	mustOutput(t, dpkg, "-x", filepath.Join(out, "process-exporter_9.8.7_linux_"+runtime.GOARCH+".deb"), dir)
	mustOutput(t, "tar", "-C", dir, "-xf", filepath.Join(out, "process-exporter-9.8.7.linux-"+runtime.GOARCH+".tar.gz"))
	for _, file := range []string{
		"usr/bin/%s", "usr/share/man/man8/%s.8.gz", "usr/share/bash-completion/completions/%s",
		"process-exporter-9.8.7.linux-" + runtime.GOARCH + "/%s",
	} {
		for _, name := range []string{"process-exporter", "process_exporter"} {
			path := filepath.Join(dir, strings.Replace(file, "%s", name, 1))
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("got error %v for %s, want a file", err, path)
			}
		}
	}
	for suffix, list := range map[string][]string{".rpm": {testenv.RequireProgram(t, "rpm"), "-qlp"}, ".apk": {"tar", "-tzf"}} {
		files := "\n" + mustOutput(t, list[0], append(list[1:], packageFile(t, runtime.GOARCH, suffix))...)
		for _, file := range []string{"usr/bin/%s", "usr/share/man/man8/%s.8.gz", "usr/share/bash-completion/completions/%s"} {
			for _, name := range []string{"process-exporter", "process_exporter"} {
				if path := strings.Replace(file, "%s", name, 1); !strings.Contains(strings.ReplaceAll(files, "\n/", "\n"), "\n"+path+"\n") {
					t.Errorf("got no %s in the package %s:%s", path, suffix, files)
				}
			}
		}
	}
	if got := mustOutput(t, filepath.Join(dir, "usr/bin/process_exporter"), "--version"); !strings.Contains(got, "9.8.7") {
		t.Errorf("got %q, want version 9.8.7", got)
	}
}

// TestInstallTable checks the commands of the table in the README: the names of
// packages, and that the chart runs the image that the table pushes.
func TestInstallTable(t *testing.T) {
	_, table, found := strings.Cut(read(t, "../README.md"), "\n## Install\n")
	table, _, _ = strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("got no section Install in the README")
	}
	_, version, _ := strings.Cut(read(t, "../CHANGELOG.md"), "\n## ")
	version, _, _ = strings.Cut(version, " ")
	_, chart, _ := strings.Cut(read(t, "helm/process-exporter/Chart.yaml"), "\nversion: ")
	chart, _, _ = strings.Cut(chart, "\n")
	for _, want := range []string{
		"dist/process-exporter_" + version + "_linux_amd64.deb`", "dist/process-exporter_" + version + "_linux_amd64.rpm`",
		"dist/process-exporter_" + version + "_linux_amd64.apk`", "dist/process-exporter-" + version + ".linux-amd64.tar.gz`",
		"podman build -t REGISTRY/process-exporter:v" + version + " .`", "podman push REGISTRY/process-exporter:v" + version + "`",
		"helm push process-exporter-" + chart + ".tgz oci://REGISTRY/charts`",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("got no %s in the table", want)
		}
	}
	_, install, found := strings.Cut(table, "`helm install ")
	install, _, _ = strings.Cut(install, "`")
	if !found {
		t.Fatal("got no command helm install in the table")
	}
	command := exec.Command(requireTool(t, "helm"), append([]string{"template"}, strings.Fields(install)...)...)
	command.Dir = ".."
	text, err := command.Output()
	if err != nil || !strings.Contains(string(text), "image: REGISTRY/process-exporter:v"+version+"\n") {
		t.Errorf("helm: got error %v and\n%s\nwant the image REGISTRY/process-exporter:v%s", err, text, version)
	}
}

// TestManual checks the manual page with mandoc, and that it lists flags.
func TestManual(t *testing.T) {
	mandoc := testenv.RequireProgram(t, "mandoc")
	page := write(t, "process-exporter.8", mustOutput(t, "packages/manual.sh"))
	text, err := output(t, mandoc, "-T", "lint", "-W", "warning", page)
	if err != nil || text != "" {
		t.Errorf("mandoc: %v\n%s", err, text)
	}
	for _, flag := range []string{"config.path", "web.listen-address", "source"} {
		if !strings.Contains(read(t, page), ".It Fl Fl "+flag+"\n") {
			t.Errorf("got no --%s in the manual page", flag)
		}
	}
}

// TestCompletion completes flags and commands in bash.
func TestCompletion(t *testing.T) {
	bash := testenv.RequireProgram(t, "bash")
	const script = `source packages/process-exporter.bash
complete -p process-exporter process_exporter >/dev/null || exit 1
COMP_WORDS=("$0" "$1")
COMP_CWORD=1
_process_exporter
echo "${COMPREPLY[@]}"`
	for word, want := range map[string]string{"--web.lis": "--web.listen-address", "to": "top", "he": "help", "ch": "check"} {
		if got := strings.TrimSpace(mustOutput(t, bash, "-c", script, testenv.BuildExporter(t), word)); got != want {
			t.Errorf("completion of %s: got %q, want %s", word, got, want)
		}
	}
}
