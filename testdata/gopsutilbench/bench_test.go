// Package gopsutilbench compares the cost of reading processes with this module, gopsutil and
// psutil. It is a separate module, so that only this benchmark depends on gopsutil.
package gopsutilbench_test

import (
	"os/exec"
	"testing"

	gopsutil "github.com/shirou/gopsutil/v4/process"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// target starts an idle process.
func target(b *testing.B) int {
	b.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func BenchmarkRead(b *testing.B) {
	p, err := process.Open(target(b))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, p)
	}
}

func BenchmarkReadOneshot(b *testing.B) {
	p, err := process.Open(target(b))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, p.Oneshot())
	}
}

// readAll reads the common values: name, CPU, memory, I/O, descriptors and threads.
func readAll(b *testing.B, p *process.Process) {
	_, err1 := p.Name()
	_, err2 := p.CPUTimes()
	_, err3 := p.MemoryInfo()
	_, err4 := p.IOCounters()
	_, err5 := p.NumFDs()
	_, err6 := p.NumThreads()
	fatalIf(b, err1, err2, err3, err4, err5, err6)
}

func BenchmarkReadGopsutil(b *testing.B) {
	p, err := gopsutil.NewProcess(int32(target(b)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err1 := p.Name()
		_, err2 := p.Times()
		_, err3 := p.MemoryInfo()
		_, err4 := p.IOCounters()
		_, err5 := p.NumFDs()
		_, err6 := p.NumThreads()
		fatalIf(b, err1, err2, err3, err4, err5, err6)
	}
}

func fatalIf(b *testing.B, errs ...error) {
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// These benchmarks open the process for every read, as callers with many processes do.

func BenchmarkOpenAndRead(b *testing.B) {
	pid := target(b)
	b.ReportAllocs()
	for b.Loop() {
		p, err := process.Open(pid)
		if err != nil {
			b.Fatal(err)
		}
		readAll(b, p.Oneshot())
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenAndReadGopsutil(b *testing.B) {
	pid := target(b)
	b.ReportAllocs()
	for b.Loop() {
		p, err := gopsutil.NewProcess(int32(pid))
		if err != nil {
			b.Fatal(err)
		}
		_, err1 := p.Name()
		_, err2 := p.Times()
		_, err3 := p.MemoryInfo()
		_, err4 := p.IOCounters()
		_, err5 := p.NumFDs()
		_, err6 := p.NumThreads()
		fatalIf(b, err1, err2, err3, err4, err5, err6)
	}
}
