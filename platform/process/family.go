package process

import (
	"cmp"
	"errors"
	"slices"
)

// PPID returns the PID of the parent, 0 if there is none that we can see. It
// changes when the parent exits.
func (p *Process) PPID() (int, error) {
	stat, err := p.stat("ppid")
	if err != nil {
		return 0, err
	}
	return stat.PPID, nil
}

// Parent returns the parent, which the caller closes, or nil if there is none
// that we can see.
func (p *Process) Parent() (*Process, error) {
	ppid, err := p.PPID()
	if err != nil || ppid == 0 {
		return nil, err
	}
	parent, err := p.shared.table.Open(ppid)
	if errors.Is(err, ErrGone) {
		return nil, nil //nolint:nilnil // to have no parent is an answer
	}
	if err != nil {
		return nil, err
	}
	// The PID of a parent that exited since we asked for its number may have gone
	// to another. That one is younger, or at least p is no child of it.
	if parent.ID().Start > p.ID().Start || !p.childOf(ppid) {
		_ = parent.Close()
		return nil, nil //nolint:nilnil // as above
	}
	return parent, nil
}

// childOf reports whether the process that has this PID now is the parent. A
// process has another parent before the PID of its own can go to anybody.
func (p *Process) childOf(ppid int) bool {
	fresh := &Process{shared: p.shared} // a view remembers
	now, err := fresh.PPID()
	return err == nil && now == ppid
}

// Parents returns the parent, its parent and so on, the nearest first. The
// caller closes them; [CloseAll] helps.
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

// Children returns the processes that have this one for a parent, ascending by
// PID. The caller closes them; [CloseAll] helps.
func (p *Process) Children() ([]*Process, error) {
	const op = "children"
	byParent, err := p.offspring(op)
	if err != nil {
		return nil, err
	}
	return p.openKin(op, byParent[p.PID()])
}

// Descendants returns the children, their children and so on, ascending by PID.
// Where a process in between has exited, those below it have another parent and
// are not found. The caller closes them; [CloseAll] helps.
func (p *Process) Descendants() ([]*Process, error) {
	const op = "descendants"
	byParent, err := p.offspring(op)
	if err != nil {
		return nil, err
	}
	var found []kinship
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
	return p.openKin(op, found)
}

// offspring returns all processes by the PID of their parents. The process
// itself must live before and after.
func (p *Process) offspring(op string) (map[int][]kinship, error) {
	h, err := p.acquire(op)
	if err != nil {
		return nil, err
	}
	defer p.release()
	all, err := p.shared.table.system.kin()
	if err != nil {
		return nil, p.failure(op, err)
	}
	if h.gone() {
		return nil, p.failure(op, ErrGone)
	}
	byParent := make(map[int][]kinship)
	for _, k := range all {
		byParent[k.ppid] = append(byParent[k.ppid], k)
	}
	return byParent, nil
}

// openKin opens the processes of a family. One that has exited meanwhile, that
// has another parent now, or that is older than its parent and therefore none of
// it, is left out.
func (p *Process) openKin(op string, family []kinship) ([]*Process, error) {
	slices.SortFunc(family, func(a, b kinship) int { return cmp.Compare(a.id.PID, b.id.PID) })
	var open []*Process
	for _, k := range family {
		if k.id.Start < p.ID().Start {
			continue
		}
		child, err := p.shared.table.Open(k.id.PID)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			CloseAll(open)
			return nil, p.failure(op, err)
		}
		if child.ID().Start != k.id.Start || !child.childOf(k.ppid) {
			_ = child.Close()
			continue
		}
		open = append(open, child)
	}
	return open, nil
}

// CloseAll closes processes.
func CloseAll(all []*Process) {
	for _, p := range all {
		_ = p.Close() // fails only if it is closed already
	}
}
