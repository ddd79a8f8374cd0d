package procfs

// At returns the limit whose bit in Have is 1<<k, none if there is no such.
func (l *Limits) At(k int) Limit {
	all := [...]*Limit{&l.CPU, &l.FileSize, &l.Data, &l.Stack, &l.Core, &l.RSS, &l.Processes, &l.OpenFiles,
		&l.LockedMemory, &l.AddressSpace, &l.FileLocks, &l.PendingSignals, &l.MsgQueue, &l.Nice, &l.RTPriority, &l.RTTime}
	if k < 0 || k >= len(all) {
		return Limit{}
	}
	return *all[k]
}
