package platform

import (
	"os/user"
	"strconv"
	"testing"
)

func TestUserNames(t *testing.T) {
	var names userNames
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(self.Uid, 10, 32)
	if err != nil {
		t.Skipf("users have no numbers here: %v", err)
	}
	for range 2 {
		wantEqual(t, "name", names.of(uint32(uid)), self.Username)
	}
	const nobody uint32 = 4_000_000_000
	for k := range uint32(2500) {
		wantEqual(t, "number", names.of(nobody+k), strconv.FormatUint(uint64(nobody+k), 10))
	}
	if kept := len(names.known); kept > 1000 {
		t.Errorf("got %d names kept, want a bound", kept)
	}
}
