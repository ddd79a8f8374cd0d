package process

import (
	"cmp"
	"errors"
	"slices"
)

// PPID returns the PID of the parent, or 0 if no parent is visible. It changes when
// the parent exits. It reads /proc/PID/stat.
func (p *Process) PPID() (int, error) {
	stat, err := p.readStat("ppid")
	if err != nil {
		return 0, err
	}
	return stat.PPID, nil
}

// Parent returns the parent, or nil if no parent is visible. The caller closes it.
func (p *Process) Parent() (*Process, error) {
	ppid, err := p.PPID()
	if err != nil || ppid == 0 {
		return nil, err
	}
	parent, err := p.shared.table.Open(ppid)
	if errors.Is(err, ErrGone) {
		return nil, nil //nolint:nilnil // no parent is not an error
	}
	if err != nil {
		return nil, err
	}
	// If the parent exited after the read of its PID, another process may have that
	// PID. It started later than p, or p is not its child.
	if parent.ID().Start > p.ID().Start || !p.hasParent(ppid) {
		_ = parent.Close()
		return nil, nil //nolint:nilnil // as above
	}
	return parent, nil
}

// hasParent reports whether the PID of the parent is ppid now. The kernel assigns a
// new parent to a process before the PID of the old one can be reused.
func (p *Process) hasParent(ppid int) bool {
	uncached := &Process{shared: p.shared}
	now, err := uncached.PPID()
	return err == nil && now == ppid
}

// Parents returns the ancestors, starting with the parent. The caller closes them,
// with [CloseAll] for example.
func (p *Process) Parents() ([]*Process, error) {
	var all []*Process
	for at := p; ; {
		parent, err := at.Parent()
		if errors.Is(err, ErrGone) && at != p { // an ancestor has just exited
			return all, nil
		}
		if err != nil {
			CloseAll(all)
			return nil, err
		}
		if parent == nil || parent.Equal(p) {
			return all, nil
		}
		all = append(all, parent)
		at = parent
	}
}

// Children returns the child processes, ascending by PID. It reads /proc/PID/stat
// of every process. The caller closes the children, with [CloseAll] for example.
func (p *Process) Children() ([]*Process, error) {
	const op = "children"
	byParent, err := p.relationsByParent(op)
	if err != nil {
		return nil, err
	}
	return p.openRelations(op, byParent[p.PID()])
}

// Descendants returns the children, their children and so on, ascending by PID. A
// process whose parent has exited has another parent, so it is not found. The
// caller closes the result. Its psutil counterpart is children(recursive=True).
func (p *Process) Descendants() ([]*Process, error) {
	const op = "descendants"
	byParent, err := p.relationsByParent(op)
	if err != nil {
		return nil, err
	}
	var found []relation
	seen := map[int]bool{p.PID(): true}
	for next := []ID{p.ID()}; len(next) > 0; next = next[1:] {
		for _, child := range byParent[next[0].PID] {
			if !seen[child.id.PID] && child.id.Start >= next[0].Start {
				seen[child.id.PID] = true
				found = append(found, child)
				next = append(next, child.id)
			}
		}
	}
	return p.openRelations(op, found)
}

// relationsByParent returns all processes by the PID of their parent. It fails if
// p is gone before or after the reads.
func (p *Process) relationsByParent(op string) (map[int][]relation, error) {
	h, err := p.acquire(op)
	if err != nil {
		return nil, err
	}
	defer p.release()
	all, err := p.shared.table.system.relations()
	if err != nil {
		return nil, p.wrap(op, err)
	}
	if h.gone() {
		return nil, p.wrap(op, ErrGone)
	}
	byParent := make(map[int][]relation)
	for _, r := range all {
		byParent[r.ppid] = append(byParent[r.ppid], r)
	}
	return byParent, nil
}

// openRelations opens descendants of p. It omits a process that has exited, that
// has another parent by now, or that started before p.
func (p *Process) openRelations(op string, relations []relation) ([]*Process, error) {
	slices.SortFunc(relations, func(a, b relation) int { return cmp.Compare(a.id.PID, b.id.PID) })
	var open []*Process
	for _, r := range relations {
		if r.id.Start < p.ID().Start {
			continue
		}
		child, err := p.shared.table.Open(r.id.PID)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			CloseAll(open)
			return nil, p.wrap(op, err)
		}
		if child.ID().Start != r.id.Start || !child.hasParent(r.ppid) {
			_ = child.Close()
			continue
		}
		open = append(open, child)
	}
	return open, nil
}

// CloseAll closes processes. It ignores processes that are closed already.
func CloseAll(all []*Process) {
	for _, p := range all {
		_ = p.Close()
	}
}
