package platform

import (
	"os/user"
	"strconv"
	"sync"
)

// userNames are the names of users that were looked up. Looking one up means to
// read a file or to ask a server, and few users own many processes. Its methods
// may be called from several goroutines.
type userNames struct {
	mu    sync.Mutex // guards known, and is not held while a name is looked up
	known map[uint32]string
}

// of returns the name of a user, or the number of one without a name.
func (n *userNames) of(uid uint32) string {
	const most = 1000 // in a user namespace anybody can take thousands of uids
	n.mu.Lock()
	name, ok := n.known[uid]
	n.mu.Unlock()
	if ok {
		return name
	}
	name = strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= most {
		n.known = make(map[uint32]string)
	}
	n.known[uid] = name
	return name
}
