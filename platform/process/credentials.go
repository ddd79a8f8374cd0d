package process

import "github.com/seed57308aee/process_exporter/procfs"

// Terminal returns the path of the controlling terminal, or "" if there is none. It
// reads the device number in /proc/PID/stat.
func (p *Process) Terminal() (string, error) {
	stat, err := p.readStat("terminal")
	if err != nil || stat.TTY == 0 {
		return "", err
	}
	return p.shared.table.system.terminal(uint32(stat.TTY)), nil
}

// CredentialIDs holds the user IDs or the group IDs of a process, see credentials(7).
type CredentialIDs struct{ Real, Effective, Saved uint32 }

// UIDs returns the user IDs of the process. It reads /proc/PID/status.
//
// System calls: 1 (3 in the first call).
func (p *Process) UIDs() (CredentialIDs, error) {
	const op = "uids"
	st, err := p.readStatus(op)
	if err != nil {
		return CredentialIDs{}, err
	}
	if st.Have&procfs.StatusUIDs == 0 {
		return CredentialIDs{}, p.wrap(op, ErrUnsupported)
	}
	return newCredentialIDs(st.UIDs), nil
}

// GIDs returns the group IDs of the process. It reads /proc/PID/status.
//
// System calls: 1 (3 in the first call).
func (p *Process) GIDs() (CredentialIDs, error) {
	const op = "gids"
	st, err := p.readStatus(op)
	if err != nil {
		return CredentialIDs{}, err
	}
	if st.Have&procfs.StatusGIDs == 0 {
		return CredentialIDs{}, p.wrap(op, ErrUnsupported)
	}
	return newCredentialIDs(st.GIDs), nil
}

// newCredentialIDs converts the IDs of a line of status: real, effective, saved and file
// system.
func newCredentialIDs(ids [4]uint32) CredentialIDs {
	return CredentialIDs{Real: ids[0], Effective: ids[1], Saved: ids[2]}
}

// Username returns the name of the real user, or the decimal user ID if the user
// has no name.
//
// System calls: 1 (3 in the first call), and about 20 for each new user ID.
func (p *Process) Username() (string, error) {
	uids, err := p.UIDs()
	if err != nil {
		return "", p.withOperation("username", err)
	}
	return p.shared.table.users.Name(uids.Real), nil
}
