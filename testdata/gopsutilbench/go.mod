module github.com/seed57308aee/process_exporter/testdata/gopsutilbench

go 1.26.0

require (
	github.com/seed57308aee/process_exporter v0.0.0
	github.com/shirou/gopsutil/v4 v4.25.10
)

require (
	github.com/ebitengine/purego v0.9.0 // indirect
	github.com/go-ole/go-ole v1.2.6 // indirect
	github.com/lufia/plan9stats v0.0.0-20211012122336-39d0f177ccd0 // indirect
	github.com/power-devops/perfstat v0.0.0-20240221224432-82ca36839d55 // indirect
	github.com/tklauser/go-sysconf v0.3.15 // indirect
	github.com/tklauser/numcpus v0.10.0 // indirect
	github.com/yusufpapurcu/wmi v1.2.4 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/seed57308aee/process_exporter => ../..
