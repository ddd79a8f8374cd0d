package host

import (
	"os/user"
	"strconv"
	"sync"
)

// maxCachedUsers bounds the cache of [UserCache]: inside a user namespace any user
// can own thousands of user IDs.
const maxCachedUsers = 1000

// UserCache looks up user names and caches them, because a lookup reads a file or
// queries a server. The zero value is ready for use. Its methods are safe for
// concurrent use.
type UserCache struct {
	mu    sync.Mutex // guards names; not held during a lookup
	names map[uint32]string
}

// Name returns the name of a user, or the decimal user ID if it has no name.
func (n *UserCache) Name(uid uint32) string {
	n.mu.Lock()
	name, ok := n.names[uid]
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
	if n.names == nil || len(n.names) >= maxCachedUsers {
		n.names = make(map[uint32]string)
	}
	n.names[uid] = name
	return name
}
