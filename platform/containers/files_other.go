//go:build !linux

package containers

import "github.com/seed57308aee/process_exporter/platform"

// files is empty: other systems have no containers whose processes are visible.
type files struct{}

func openFiles(Dirs) files { return files{} }

func (files) none() bool { return true }

func (files) close() {}

func (files) links() (map[string]platform.ContainerNames, error) { return nil, nil }

func (files) pods() (map[string]platform.ContainerNames, error) { return nil, nil }

func (files) runtimes(string) map[string]platform.ContainerNames { return nil }
