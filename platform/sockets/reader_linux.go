package sockets

import (
	"fmt"

	"github.com/seed57308aee/process_exporter/platform"
)

func newReader(o Options) (Reader, error) {
	var bpfError error
	if o.Kind == platform.SourceAuto || o.Kind == platform.SourceBPF {
		r, err := openBPF(o)
		if err == nil {
			return r, nil
		}
		bpfError = fmt.Errorf("sockets: source %s: %w", platform.SourceBPF, err)
		if o.Kind == platform.SourceBPF {
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
