package process

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"
)

// PPID returns the PID of the parent, or 0 if no parent is visible. It changes when
// the parent exits. It reads /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) PPID() (int, error) {
	stat, err := p.readStat("ppid")
	if err != nil {
		return 0, err
	}
	return stat.PPID, nil
}

// Parent returns the parent. The caller closes it. If no parent is visible, as for
// process 1, the error matches [ErrNoParent].
//
// System calls: 11.
func (p *Process) Parent() (*Process, error) {
	const op = "parent"
	if p.ctx != nil {
		parent, err := within(p, op, (*Process).Parent)
		if err == nil {
			parent.ctx = p.ctx
		}
		return parent, err
	}
	ppid, err := p.PPID()
	if err != nil {
		return nil, p.withOperation(op, err)
	}
	if ppid == 0 {
		return nil, p.wrap(op, ErrNoParent)
	}
	parent, err := p.shared.table.Open(ppid)
	if errors.Is(err, ErrGone) {
		return nil, p.wrap(op, ErrNoParent)
	}
	if err != nil {
		return nil, p.withOperation(op, err)
	}
	// If the parent exited after the read of its PID, another process may have that
	// PID. It started later than p, or p is not its child.
	if parent.ID().Start > p.ID().Start || !p.hasParent(ppid) {
		_ = parent.Close()
		return nil, p.wrap(op, ErrNoParent)
	}
	return parent, nil
}

// parentPID returns the PID of the parent, or 0 if no parent is visible.
func (p *Process) parentPID() (int, error) {
	parent, err := p.Parent()
	if errors.Is(err, ErrNoParent) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return parent.PID(), parent.Close()
}

// hasParent reports whether the PID of the parent is ppid now. The kernel assigns a
// new parent to a process before the PID of the old one can be reused.
func (p *Process) hasParent(ppid int) bool {
	now, err := p.uncached().PPID()
	return err == nil && now == ppid
}

// Parents returns the ancestors, starting with the parent. The result is empty,
// without an error, if no parent is visible, as for process 1. The caller closes them,
// with [CloseAll] for example, also if there is an error: the result then has the
// ancestors that could be opened. It opens each ancestor.
//
// System calls: about 13 per ancestor.
func (p *Process) Parents() ([]*Process, error) {
	if p.ctx != nil {
		return p.withinAll("parents", (*Process).Parents)
	}
	var all []*Process
	for at := p; ; at = all[len(all)-1] {
		parent, err := p.ancestorAfter(at)
		if parent == nil {
			return all, err
		}
		all = append(all, parent)
	}
}

// ParentPIDs returns the PIDs of the ancestors, starting with the parent. The result
// is empty, without an error, if no parent is visible. It opens one ancestor at a
// time.
//
// System calls: about 13 per ancestor.
func (p *Process) ParentPIDs() ([]int, error) {
	if p.ctx != nil {
		return within(p, "parents", (*Process).ParentPIDs)
	}
	pids := []int{}
	for at := p; ; {
		parent, err := p.ancestorAfter(at)
		if at != p {
			_ = at.Close()
		}
		if err != nil {
			return nil, err
		}
		if parent == nil {
			return pids, nil
		}
		pids = append(pids, parent.PID())
		at = parent
	}
}

// ancestorAfter returns the parent of at, which is p or an ancestor of p. It returns
// nil after the last ancestor.
func (p *Process) ancestorAfter(at *Process) (*Process, error) {
	parent, err := at.Parent()
	if errors.Is(err, ErrNoParent) || errors.Is(err, ErrGone) && at != p { // an ancestor has just exited
		return nil, nil //nolint:nilnil // the end of the list
	}
	if err != nil {
		return nil, p.withOperation("parents", err)
	}
	if parent.Equal(p) { // a cycle, as inconsistent reads can produce
		_ = parent.Close()
		return nil, nil //nolint:nilnil // as above
	}
	return parent, nil
}

// Children returns the child processes, ascending by PID. The caller closes the
// children, with [CloseAll] for example, also if there is an error: if the file
// descriptors of this program run out, the result has the children that could be
// opened. [Process.ChildPIDs] needs no descriptors.
//
// Children reads /proc/PID/stat of every process and opens each child.
//
// System calls: 5, 3 per process of the machine, and 11 per child.
func (p *Process) Children() ([]*Process, error) {
	const op = "children"
	if p.ctx != nil {
		return p.withinAll(op, (*Process).Children)
	}
	tree, err := p.readTree(op, 0)
	if err != nil {
		return nil, err
	}
	return p.openRelations(tree.children(p.ID()))
}

// Descendants returns the children, their children and so on, ascending by PID. The
// result does not include p. A process whose parent has exited has another parent,
// so it is not found. Children that are forked during the call can be missing. The
// caller closes the result, as that of [Process.Children]. Its psutil counterpart is
// children(recursive=True).
//
// System calls: 5, 3 per process of the machine, and 11 per descendant.
func (p *Process) Descendants() ([]*Process, error) {
	const op = "descendants"
	if p.ctx != nil {
		return p.withinAll(op, (*Process).Descendants)
	}
	tree, err := p.readTree(op, 0)
	if err != nil {
		return nil, err
	}
	return p.openRelations(tree.descendants(p.ID()))
}

// maxListingAge is how long processes of one iteration share a list of all
// processes.
const maxListingAge = time.Second

// ChildPIDs returns the PIDs of the child processes, ascending. It reads
// /proc/PID/stat of every process.
//
// Processes of one iteration, such as that of [All], share these reads for one
// second. The list of such a Process can be one second old: it can omit new
// children, and contain PIDs that other processes have by now. Send no signals to
// these PIDs. Use [Process.Children] or [Process.Descendants] for that.
//
// System calls: 5, and 3 per process of the machine.
func (p *Process) ChildPIDs() ([]int, error) {
	tree, err := p.readTree("children", maxListingAge)
	if err != nil {
		return nil, err
	}
	return pidsIn(tree.children(p.ID())), nil
}

// DescendantPIDs returns the PIDs of the processes that [Process.Descendants]
// returns, with the cost and the limitations of [Process.ChildPIDs].
func (p *Process) DescendantPIDs() ([]int, error) {
	tree, err := p.readTree("descendants", maxListingAge)
	if err != nil {
		return nil, err
	}
	return pidsIn(tree.descendants(p.ID())), nil
}

// sharedTree is the Tree of the processes of one iteration.
type sharedTree struct {
	mu   sync.Mutex // guards the fields below; held during the read
	read time.Time
	tree *Tree
}

// readTree returns the list of all processes. It fails if p is gone afterwards. The
// list may be as old as maxAge if p shares it with other processes.
func (p *Process) readTree(op string, maxAge time.Duration) (*Tree, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (*Tree, error) { return p.readTree(op, maxAge) })
	}
	h, err := p.acquire(op)
	if err != nil {
		return nil, err
	}
	defer p.release()
	tree, err := p.cachedTree(maxAge)
	if err != nil {
		return nil, p.wrap(op, err)
	}
	if h.gone() {
		return nil, p.wrap(op, ErrGone)
	}
	return tree, nil
}

func (p *Process) cachedTree(maxAge time.Duration) (*Tree, error) {
	t, shared := p.shared.table, p.shared.tree
	if maxAge == 0 {
		return newTree(t.system)
	}
	var cache *cached[Tree]
	if p.cache != nil {
		cache = &p.cache.tree
	}
	return cache.get(func() (*Tree, error) {
		if shared == nil {
			return newTree(t.system)
		}
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if now := time.Now(); shared.tree == nil || now.Sub(shared.read) > maxAge {
			tree, err := newTree(t.system)
			if err != nil {
				return nil, err
			}
			shared.read, shared.tree = now, tree
		}
		return shared.tree, nil
	})
}

// openRelations opens descendants of p. It omits a process that has exited, or that
// has another parent by now. It returns the errors of the others together, and ends
// when there are no file descriptors left.
func (p *Process) openRelations(relations []relation) ([]*Process, error) {
	slices.SortFunc(relations, func(a, b relation) int { return cmp.Compare(a.id.PID, b.id.PID) })
	var open []*Process
	var failed error
	for _, r := range relations {
		child, err := p.shared.table.Open(r.id.PID)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				return open, failed
			}
			continue
		}
		if child.ID().Start != r.id.Start || !child.hasParent(r.ppid) {
			_ = child.Close()
			continue
		}
		open = append(open, child)
	}
	return open, failed
}

// CloseAll closes processes. It ignores processes that are closed already.
func CloseAll(all []*Process) {
	for _, p := range all {
		_ = p.Close()
	}
}
