package process

import "slices"

// A Tree is a list of all processes with their parents. With one Tree the relatives
// of many processes cost one read of each process.
type Tree struct {
	byParent map[int][]relation
}

// ReadTree reads the parents of all processes of this machine, as [Table.ReadTree]
// does.
func ReadTree() (*Tree, error) {
	t, err := systemTable()
	if err != nil {
		return nil, err
	}
	return t.ReadTree()
}

// ReadTree reads the parents of all processes. It reads /proc/PID/stat of each, with
// three system calls.
func (t *Table) ReadTree() (*Tree, error) {
	return tableWithin(t, "list processes", newTree)
}

func newTree(s system) (*Tree, error) {
	all, err := s.relations()
	if err != nil {
		return nil, err
	}
	tree := &Tree{byParent: make(map[int][]relation)}
	for _, r := range all {
		tree.byParent[r.ppid] = append(tree.byParent[r.ppid], r)
	}
	return tree, nil
}

// ChildPIDs returns the PIDs of the children that a process had when t was read,
// ascending.
func (t *Tree) ChildPIDs(parent ID) []int { return pidsIn(t.children(parent)) }

// DescendantPIDs returns the PIDs of the children that a process had when t was
// read, of their children and so on, ascending.
func (t *Tree) DescendantPIDs(ancestor ID) []int { return pidsIn(t.descendants(ancestor)) }

// children omits a process that started before its parent: another process had the
// PID of the parent then.
func (t *Tree) children(parent ID) []relation {
	var children []relation
	for _, r := range t.byParent[parent.PID] {
		if r.id.Start >= parent.Start && r.id.PID != parent.PID {
			children = append(children, r)
		}
	}
	return children
}

func (t *Tree) descendants(ancestor ID) []relation {
	var found []relation
	seen := map[int]bool{ancestor.PID: true}
	for next := []ID{ancestor}; len(next) > 0; next = next[1:] {
		for _, child := range t.children(next[0]) {
			if !seen[child.id.PID] {
				seen[child.id.PID] = true
				found = append(found, child)
				next = append(next, child.id)
			}
		}
	}
	return found
}

func pidsIn(relations []relation) []int {
	pids := make([]int, len(relations))
	for i, r := range relations {
		pids[i] = r.id.PID
	}
	slices.Sort(pids)
	return pids
}
