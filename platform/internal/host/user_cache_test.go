package host

import (
	"os/user"
	"strconv"
	"testing"
)

func TestUserCache(t *testing.T) {
	var names UserCache
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(self.Uid, 10, 32)
	if err != nil {
		t.Skipf("user IDs are not numeric on this system: %v", err)
	}
	for range 2 {
		if got := names.Name(uint32(uid)); got != self.Username {
			t.Errorf("got %q, want %q", got, self.Username)
		}
	}
	const unused uint32 = 4_000_000_000
	for k := range uint32(2500) {
		if got, want := names.Name(unused+k), strconv.FormatUint(uint64(unused+k), 10); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if cached := len(names.names); cached > maxCachedUsers {
		t.Errorf("got %d cached names, want at most %d", cached, maxCachedUsers)
	}
}
