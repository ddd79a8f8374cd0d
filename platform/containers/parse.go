package containers

import (
	"encoding/json"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// parseLink returns the ID and the names in the name of a link. Pods, namespaces and
// containers have no underscore in their names.
func parseLink(file string) (id string, names platform.ContainerNames, ok bool) {
	text, ok := strings.CutSuffix(file, ".log")
	i := strings.LastIndexByte(text, '-')
	if !ok || i < 0 || !isID(text[i+1:]) {
		return "", names, false
	}
	parts := strings.Split(text[:i], "_")
	if len(parts) != 3 {
		return "", names, false
	}
	return text[i+1:], platform.ContainerNames{Pod: parts[0], PodNamespace: parts[1], Container: parts[2]}, true
}

// parsePodDir returns the UID and the names in the name of a directory of a pod.
func parsePodDir(dir string) (uid string, names platform.ContainerNames, ok bool) {
	parts := strings.Split(dir, "_")
	if len(parts) != 3 || parts[2] == "" {
		return "", names, false
	}
	return parts[2], platform.ContainerNames{Pod: parts[1], PodNamespace: parts[0]}, true
}

// parseDocker returns the names in a config.v2.json of Docker.
func parseDocker(text []byte) (names platform.ContainerNames, ok bool) {
	var config struct {
		Name   string
		Config struct{ Labels map[string]string }
	}
	if json.Unmarshal(text, &config) != nil || config.Name == "" {
		return names, false
	}
	names = fromName(strings.TrimPrefix(config.Name, "/"))
	labels := config.Config.Labels
	names.ComposeService, names.ComposeProject = labels["com.docker.compose.service"], labels["com.docker.compose.project"]
	return names, true
}

// parsePodman returns the names of all containers in a containers.json of
// containers/storage. It has no labels.
func parsePodman(text []byte) map[string]platform.ContainerNames {
	var list []struct {
		ID    string
		Names []string
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	all := make(map[string]platform.ContainerNames, len(list))
	for _, c := range list {
		if len(c.Names) > 0 && isID(c.ID) {
			all[c.ID] = fromName(c.Names[0])
		}
	}
	return all
}

// fromName returns the names of a container that a runtime calls name. Docker and CRI-O
// call containers of pods k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT.
func fromName(name string) platform.ContainerNames {
	parts := strings.Split(name, "_")
	if len(parts) == 6 && parts[0] == "k8s" {
		return platform.ContainerNames{Pod: parts[2], PodNamespace: parts[3], Container: parts[1]}
	}
	return platform.ContainerNames{Container: name}
}

// isID reports whether text is the ID of a container: 64 hexadecimal digits.
func isID(text string) bool { return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == "" }
