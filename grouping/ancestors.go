package grouping

import "github.com/seed57308aee/process_exporter/platform"

// maxAncestors limits a search through ancestors. Parents are read one after the
// other while processes start and exit, so their PPIDs may form a cycle.
const maxAncestors = 4096

// parent returns the record and the last sample of the parent of a process, which
// is live or has exited since the previous walk. They are nil if the parent is not
// known. A process that started after s is not its parent: the kernel has reused the
// PID of the parent.
func (t *Tracker) parent(s *platform.Sample) (*processRecord, *platform.Sample) {
	if i := t.snap.Index(s.PPID); i >= 0 && t.snap.Samples[i].Start <= s.Start {
		return &t.records[i], &t.snap.Samples[i]
	}
	if i, ok := t.exitIndex[s.PPID]; ok && t.snap.Exits[i].Start <= s.Start {
		return &t.exited[i], &t.snap.Exits[i].Sample
	}
	return nil, nil
}

// groupedAncestor returns the nearest ancestor of s that is in a group. It returns
// nil if the rule of that ancestor excludes descendants, or if an ignored process is
// nearer. The result is provisional while an ancestor on the way is not identified.
func (t *Tracker) groupedAncestor(s *platform.Sample) (ancestor *processRecord, provisional bool) {
	for range maxAncestors {
		r, parent := t.parent(s)
		if r == nil {
			return nil, provisional
		}
		if r.state != statePending && r.identity == identityDue {
			provisional = true
		}
		switch r.state {
		case stateMatched, stateInherited, stateProvisional:
			if !r.rule.children.or(t.opts.Children) {
				return nil, provisional
			}
			return r, provisional
		case stateExcluded:
			return nil, provisional
		}
		s = parent
	}
	return nil, provisional
}

// joinAncestor assigns a pending process, and its pending ancestors, to the group
// of the nearest grouped ancestor. It excludes them if there is none.
func (t *Tracker) joinAncestor(r *processRecord, s *platform.Sample) {
	if !t.inherits {
		t.exclude(r, s, nil)
		return
	}
	ancestor, provisional := t.groupedAncestor(s)
	for steps := 0; steps < maxAncestors && r != nil && r.state == statePending; steps++ {
		if ancestor != nil {
			t.assign(r, ancestor.group, ancestor.rule, stateInherited)
			r.parent = s.PPID
		} else {
			t.exclude(r, s, nil)
		}
		if provisional {
			r.identity = identityDue
			if r.state == stateInherited {
				r.state = stateProvisional
			}
		}
		r, s = t.parent(s)
	}
}

// ancestorNames returns the Comm of the parent of s, of its grandparent, and so on.
func (t *Tracker) ancestorNames(s *platform.Sample) (names []string) {
	for range maxAncestors {
		_, parent := t.parent(s)
		if parent == nil {
			break
		}
		names = append(names, parent.Comm)
		s = parent
	}
	return names
}
