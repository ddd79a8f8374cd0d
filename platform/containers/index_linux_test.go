package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform"
)

const podUID = "0a1b2c3d-1111-2222-3333-444455556666"

// idOf returns the ID of a container of a test.
func idOf(digit string) string { return strings.Repeat(digit, 64) }

// A fixture is an Index of directories, with a clock that only the test advances.
type fixture struct {
	*Index
	t    *testing.T
	dirs Dirs
	at   time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	root := t.TempDir()
	f := &fixture{t: t, at: time.Unix(1_700_000_000, 0), dirs: Dirs{
		filepath.Join(root, "containers"), filepath.Join(root, "pods"), filepath.Join(root, "docker"), filepath.Join(root, "podman"),
	}}
	for _, dir := range f.dirs.Paths() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.Index = Open(f.dirs)
	t.Cleanup(f.Close)
	if f.timeout != loadTimeout {
		t.Fatalf("got timeout %v, want %v", f.timeout, loadTimeout)
	}
	f.now, f.timeout = func() time.Time { return f.at }, time.Minute
	return f
}

// link adds the link of a kubelet. Its target does not exist, as in a container that has
// mounted only the directory of links.
func (f *fixture) link(name string) {
	f.t.Helper()
	if err := os.Symlink("/var/log/pods/x/0.log", filepath.Join(f.dirs.Links, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(path, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// expect checks names that are final.
func (f *fixture) expect(id, pod string, want platform.ContainerNames) {
	f.t.Helper()
	if got, final := f.Lookup(id, pod); got != want || !final {
		f.t.Errorf("%.4s, %.8s: got %+v, final %v, want %+v, final", id, pod, got, final, want)
	}
}

// expectPartial checks names of which a later read can find more.
func (f *fixture) expectPartial(id, pod string, want platform.ContainerNames) {
	f.t.Helper()
	if got, final := f.Lookup(id, pod); got != want || final {
		f.t.Errorf("%.4s, %.8s: got %+v, final %v, want %+v, not final", id, pod, got, final, want)
	}
}

// TestLinks checks names from the links of a kubelet, and when the directory is read again.
func TestLinks(t *testing.T) {
	f := newFixture(t)
	f.link("web-1_shop_nginx-" + idOf("a") + ".log")
	f.link("not-a-container.log")
	f.link("too_many_parts_of_a_name-" + idOf("d") + ".log")
	web := platform.ContainerNames{Pod: "web-1", PodNamespace: "shop", Container: "nginx"}
	f.expect(idOf("a"), "", web)
	f.expectPartial(idOf("b"), "", platform.ContainerNames{})
	f.link("db_shop_side-car-" + idOf("b") + ".log")
	f.expectPartial(idOf("b"), "", platform.ContainerNames{}) // the directory was just read
	f.at = f.at.Add(loadInterval)
	f.expect(idOf("b"), "", platform.ContainerNames{Pod: "db", PodNamespace: "shop", Container: "side-car"})
	f.expectPartial(idOf("c"), "", platform.ContainerNames{})
	f.at = f.at.Add(loadInterval)
	f.expectPartial(idOf("c"), "", platform.ContainerNames{})
	f.link("late_shop_job-" + idOf("c") + ".log")
	f.at = f.at.Add(loadInterval)
	f.expectPartial(idOf("c"), "", platform.ContainerNames{}) // read less than retryInterval ago
	f.at = f.at.Add(retryInterval)
	f.expect(idOf("c"), "", platform.ContainerNames{Pod: "late", PodNamespace: "shop", Container: "job"})
	f.expectPartial(idOf("d"), "", platform.ContainerNames{})
	f.expect("", "", platform.ContainerNames{})
}

// TestPods checks the names of a pod whose container has no link.
func TestPods(t *testing.T) {
	f := newFixture(t)
	f.write(filepath.Join(f.dirs.Pods, "shop_web-1_"+podUID, "nginx", "0.log"), "")
	f.expectPartial(idOf("a"), podUID, platform.ContainerNames{Pod: "web-1", PodNamespace: "shop"})
	f.expectPartial("", podUID, platform.ContainerNames{Pod: "web-1", PodNamespace: "shop"})
}

// TestDocker checks names from the files of Docker.
func TestDocker(t *testing.T) {
	f := newFixture(t)
	f.write(filepath.Join(f.dirs.Docker, idOf("a"), "config.v2.json"), `{"StreamConfig":{},"State":{"Running":true},"ID":"x",`+
		`"Config":{"Env":["PASSWORD=x"],"Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}},"Name":"/shop-web-1"}`)
	f.write(filepath.Join(f.dirs.Docker, idOf("b"), "config.v2.json"),
		`{"Name":"/k8s_nginx_web-1_shop_`+podUID+`_0","Config":{"Labels":null}}`)
	f.write(filepath.Join(f.dirs.Docker, idOf("c"), "config.v2.json"), `{"Name":`)
	f.expect(idOf("a"), "", platform.ContainerNames{Container: "shop-web-1", ComposeService: "web", ComposeProject: "shop"})
	f.at = f.at.Add(loadInterval)
	f.expect(idOf("b"), "", platform.ContainerNames{Pod: "web-1", PodNamespace: "shop", Container: "nginx"})
	f.at = f.at.Add(loadInterval)
	f.expectPartial(idOf("c"), "", platform.ContainerNames{})
	f.at = f.at.Add(loadInterval)
	f.expectPartial("../docker/"+idOf("a"), "", platform.ContainerNames{})
}

// TestPodman checks names from a file that Podman 4.3 has written.
func TestPodman(t *testing.T) {
	f := newFixture(t)
	f.write(filepath.Join(f.dirs.Podman, "containers.json"), `[{"id":"`+idOf("a")+`","names":["shop_web_1"],"image":"",`+
		`"layer":"d6a0","metadata":"{\"image-name\":\"\",\"name\":\"shop_web_1\",\"created-at\":1795926463}","created":"2026-11-29T04:27:43Z",`+
		`"flags":{"MountLabel":"","ProcessLabel":""}}]`)
	f.expect(idOf("a"), "", platform.ContainerNames{Container: "shop_web_1"})
}

// TestAbsentDirs checks that names are final and empty if no directory exists.
func TestAbsentDirs(t *testing.T) {
	x := Open(Dirs{"/nonexistent", "/nonexistent", "/nonexistent", "/nonexistent"})
	if names, final := x.Lookup(idOf("a"), podUID); names != (platform.ContainerNames{}) || !final {
		t.Errorf("got %+v, %v, want no names, final", names, final)
	}
	x.Close()
}

// TestBlockingFile checks that a FIFO in place of a file does not block a Lookup.
func TestBlockingFile(t *testing.T) {
	f := newFixture(t)
	f.write(filepath.Join(f.dirs.Docker, idOf("a"), "x"), "")
	for _, path := range []string{f.dirs.Docker + "/" + idOf("a") + "/config.v2.json", f.dirs.Podman + "/containers.json"} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.expectPartial(idOf("a"), "", platform.ContainerNames{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loading {
		t.Error("the read has not ended")
	}
}

// TestRemovedDir checks that names stay known when a directory is removed.
func TestRemovedDir(t *testing.T) {
	f := newFixture(t)
	f.link("web-1_shop_nginx-" + idOf("a") + ".log")
	web := platform.ContainerNames{Pod: "web-1", PodNamespace: "shop", Container: "nginx"}
	f.expect(idOf("a"), "", web)
	if err := os.RemoveAll(f.dirs.Links); err != nil {
		t.Fatal(err)
	}
	f.expect(idOf("a"), "", web)
}
