package platform

import "fmt"

func newSource(o Options) (Source, error) {
	proc, err := openProcfs(o)
	if err != nil {
		return nil, err
	}
	if o.Kind != KindAuto && o.Kind != KindBPF {
		return proc, nil
	}
	source, err := openBPF(proc)
	switch {
	case err == nil:
		return source, nil
	case o.Kind == KindAuto:
		proc.bpfError = err
		return proc, nil
	}
	_ = proc.Close() // read only
	return nil, fmt.Errorf("platform: source %s: %w", KindBPF, err)
}
