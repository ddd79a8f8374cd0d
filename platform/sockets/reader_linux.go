package sockets

import (
	"fmt"

	"github.com/seed57308aee/process_exporter/platform"
)

func newReader(o Options) (Reader, error) {
	var bpfError error
	if o.Kind == platform.KindAuto || o.Kind == platform.KindBPF {
		r, err := openBPF(o)
		if err == nil {
			return r, nil
		}
		bpfError = fmt.Errorf("sockets: source %s: %w", platform.KindBPF, err)
		if o.Kind == platform.KindBPF {
			return nil, bpfError
		}
	}
	r, err := newProcfsReader(o)
	if err != nil {
		return nil, err
	}
	r.bpfError = bpfError
	return r, nil
}
