// Package containers finds the names of containers in the files of kubelets, Docker and
// Podman, without their APIs. The caller knows the ID of a container from a cgroup path.
package containers

import (
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// Dirs are the directories with the names of containers.
type Dirs struct {
	Links  string // of kubelets: links POD_NAMESPACE_CONTAINER-ID.log
	Pods   string // of kubelets: directories NAMESPACE_POD_UID
	Docker string // directories ID with config.v2.json
	Podman string // of containers/storage: containers.json
}

// DefaultDirs returns the directories of a host, or of a container that has mounted
// them at the same paths.
func DefaultDirs() Dirs {
	return Dirs{
		Links: "/var/log/containers", Pods: "/var/log/pods",
		Docker: "/var/lib/docker/containers", Podman: "/var/lib/containers/storage/overlay-containers",
	}
}

// Paths returns the paths of all directories.
func (d Dirs) Paths() []string { return []string{d.Links, d.Pods, d.Docker, d.Podman} }

const (
	// loadInterval is the minimum time between two reads of the directories.
	loadInterval = time.Second

	// retryInterval is the minimum time between two reads for the same unknown container.
	retryInterval = 2 * time.Second

	// loadTimeout is how long a Lookup waits for a read. A file system that does not
	// respond delays one Lookup: there is no other read until this one ends.
	loadTimeout = 500 * time.Millisecond

	// maxContainers bounds each map of an Index.
	maxContainers = 20_000
)

// An Index finds the names of containers. It reads the directories when it does not know
// a container. Its methods are safe for concurrent use.
type Index struct {
	files   files
	now     func() time.Time
	timeout time.Duration // loadTimeout, except in tests

	mu       sync.Mutex                         // guards the fields below
	links    map[string]platform.ContainerNames // by ID
	pods     map[string]platform.ContainerNames // by UID
	runtimes map[string]platform.ContainerNames // by ID, of Docker and Podman
	tried    map[string]time.Time               // last read for a container that is unknown
	loaded   time.Time                          // start of the last read
	loading  bool
}

// Open returns an Index of the directories that exist. It keeps them open, so that a
// sandbox which the program enters later does not hide them.
func Open(d Dirs) *Index {
	return &Index{
		files: openFiles(d), now: time.Now, timeout: loadTimeout,
		runtimes: make(map[string]platform.ContainerNames), tried: make(map[string]time.Time),
	}
}

// Close closes the directories. No read may be in progress.
func (x *Index) Close() { x.files.close() }

// Lookup returns the names of a container by its ID, and of its pod by its UID. It returns
// false if a later call can return more names: the files of a container may be written after its
// first process has started.
func (x *Index) Lookup(id, podUID string) (names platform.ContainerNames, final bool) {
	if x.files.none() || id == "" && podUID == "" {
		return names, true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	names, final = x.find(id, podUID)
	if final || !x.mayLoad(id+podUID) {
		return names, final
	}
	done := make(chan struct{})
	x.loading = true
	go func() {
		defer close(done)
		x.load(id)
	}()
	x.mu.Unlock()
	timer := time.NewTimer(x.timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	x.mu.Lock()
	return x.find(id, podUID)
}

// find returns what is known. The caller holds mu.
func (x *Index) find(id, podUID string) (names platform.ContainerNames, final bool) {
	if names, final = x.links[id]; final {
		return names, true
	}
	names, final = x.runtimes[id]
	if pod, known := x.pods[podUID]; known {
		names.Pod, names.PodNamespace = pod.Pod, pod.PodNamespace
	}
	return names, final
}

// mayLoad reports whether the directories are read for an unknown container, and notes the
// attempt. The caller holds mu.
func (x *Index) mayLoad(key string) bool {
	now := x.now()
	if x.loading || now.Sub(x.loaded) < loadInterval || now.Sub(x.tried[key]) < retryInterval {
		return false
	}
	if len(x.tried) >= maxContainers {
		clear(x.tried)
	}
	x.loaded, x.tried[key] = now, now
	return true
}

// load reads the directories. It keeps what was known of a directory that cannot be read.
func (x *Index) load(id string) {
	links, linksErr := x.files.links()
	pods, podsErr := x.files.pods()
	runtimes := x.files.runtimes(id)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loading = false
	if linksErr == nil {
		x.links = links
	}
	if podsErr == nil {
		x.pods = pods
	}
	if len(x.runtimes)+len(runtimes) > maxContainers {
		clear(x.runtimes)
	}
	for id, names := range runtimes {
		x.runtimes[id] = names
	}
}
