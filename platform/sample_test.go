package platform

import (
	"testing"
)

// TestDropUnwanted checks that a Sample keeps the fields in Want and those in readWithStat.
func TestDropUnwanted(t *testing.T) {
	const all = FieldStat | FieldStatus | FieldIO | FieldFDs | FieldFDLimit | FieldWChan | FieldSmaps | FieldTasks | FieldTaskUsage |
		FieldSwitchesOfAllThreads | FieldRunWait | FieldBlockWait | FieldMemory
	const task = FieldStatus | FieldWChan | FieldTaskUsage | FieldIO
	for _, tt := range []struct {
		name           string
		want           Fields
		have, taskHave Fields
		unreadable     Fields
	}{
		{"everything", all, all, task, FieldIO | FieldSmaps},
		{"no proportional memory", all &^ FieldSmaps, all &^ FieldSmaps, task, FieldIO},
		{"no thread usage", all &^ FieldTaskUsage, all &^ FieldTaskUsage, FieldStatus | FieldWChan, FieldIO | FieldSmaps},
		{"nothing", 0, readWithStat, task, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Sample{Want: tt.want, Have: all, Unreadable: FieldIO | FieldSmaps, Skipped: FieldSmaps, Tasks: []Task{{Have: task}, {Have: task}}}
			s.dropUnwanted()
			if s.Have != tt.have || s.Unreadable != tt.unreadable || s.Skipped != FieldSmaps&tt.want {
				t.Errorf("got fields %b, unreadable %b, skipped %b; want %b, %b, %b",
					s.Have, s.Unreadable, s.Skipped, tt.have, tt.unreadable, FieldSmaps&tt.want)
			}
			for _, n := range s.Tasks {
				if n.Have != tt.taskHave {
					t.Errorf("got fields %b of a thread, want %b", n.Have, tt.taskHave)
				}
			}
		})
	}
}
