package e2e

import (
	"testing"
)

// TestPageTable uses the table of groups and the list of processes in a browser.
func TestPageTable(t *testing.T) {
	requireLinux(t)
	pageModules(t)
	t.Parallel()
	unique := uniqueToken()
	task := pageTask{Steady: "steady" + unique, Busy: "busy" + unique, Failing: "crasher" + unique, Ignored: "leftout" + unique, Table: true}
	for range 3 {
		startIdleProcess(t, task.Steady)
	}
	startIdleProcess(t, task.Ignored)
	startShell(t, "looper"+unique, "while : "+task.Busy+"; do sleep 1; done")
	startFailing(t, task.Failing)
	config := writeFile(t, "c.yml", "process_names:\n  - {name: servers, comm: ["+task.Steady+"]}\n"+
		"  - {name: loops, comm: [looper"+unique+"]}\n"+
		"  - {comm: ["+task.Ignored+"], ignore: true}\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n")
	for _, source := range []string{"bpf", "procfs"} {
		t.Run(source, func(t *testing.T) {
			task := task
			task.URL, task.Shots = startExporter(t, "--source="+source, "--config.path", config).waitForURL()+"/", *pageScreenshots
			task.run(t)
		})
	}
}
