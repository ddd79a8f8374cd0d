package webui

import "github.com/seed57308aee/process_exporter/platform"

// Text returns how the process ended, such as "exited with status 3", in the words of the page.
func (p *EndedProcess) Text() string {
	text := exitText(p.Reason, p.Code)
	if p.OOMKilled {
		text += " (OOM killer)"
	}
	return text
}

// Text returns how the processes ended, as [EndedProcess.Text].
func (e *ExitCount) Text() string { return exitText(e.Reason, e.Code) }

func exitText(reason, code string) string {
	switch reason {
	case platform.ReasonExited:
		return "exited with status " + code
	case platform.ReasonDumped:
		return "killed by " + code + ", core dumped"
	}
	return "killed by " + code
}
