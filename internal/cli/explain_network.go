package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/platform"
)

// An explanation says why a process is in its group, and has the network of that group.
type explanation struct {
	*grouping.Explanation
	Network *webui.Network // nil without the collector network
}

// networkPause is the time for which explain measures the traffic of groups.
const networkPause = time.Second

// measureNetworks returns the network of each group that has the collector, by key. It measures
// the traffic if it can be known.
func (g *localGroups) measureNetworks(ctx context.Context) (map[string]*webui.Network, error) {
	pause := networkPause
	switch kind, _ := g.tracker.SocketsKind(); kind {
	case "":
		return nil, nil
	case platform.SourceProcfs:
		pause = 0
	}
	reports, groups, err := g.measure(ctx, pause)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*webui.Network)
	for i := range groups {
		if groups[i].Collectors.Has(grouping.CollectorNetwork) {
			n := &reports[i].Network
			n.AddDetail(&groups[i])
			out[groups[i].Key()] = n
		}
	}
	return out, nil
}

// withNetworks adds the networks of groups, by key, to explanations.
func withNetworks(all []*grouping.Explanation, networks map[string]*webui.Network) []explanation {
	out := make([]explanation, len(all))
	for i, e := range all {
		out[i].Explanation = e
		if e.Grouped {
			out[i].Network = networks[grouping.GroupKey(e.Group, e.Labels)]
		}
	}
	return out
}

// formatNetwork writes what is known about the network of a group.
func formatNetwork(b *strings.Builder, n *webui.Network) {
	if n == nil {
		return
	}
	var parts []string
	if n.SentBytes != nil && n.ReceivedBytes != nil {
		parts = append(parts, fmt.Sprintf("sent %s/s, received %s/s", bytesOrDash(n.SentBytes), bytesOrDash(n.ReceivedBytes)))
	}
	if n.Connections != nil {
		parts = append(parts, count(*n.Connections, "TCP connection", "TCP connections"))
	}
	for i, p := range n.ListeningPorts {
		if i == 0 {
			parts = append(parts, "listens on "+p.Protocol+"/"+p.Port)
		} else {
			parts = append(parts, p.Protocol+"/"+p.Port)
		}
	}
	if parts == nil {
		parts = []string{"sockets are not readable"}
	}
	fmt.Fprintf(b, "   network of the group: %s\n", strings.Join(parts, ", "))
}
