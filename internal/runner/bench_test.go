//go:build unix

package runner_test

import (
	"os/exec"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/store"
)

// BenchmarkOneStep measures from the trigger to the end of a run of one job without
// sources, with the embedded runner.
func BenchmarkOneStep(b *testing.B) {
	s := refltest.Start(b, refltest.Options{})
	s.Runner(s.RunnerOptions())
	p := refltest.Script("true")
	s.Wait(s.Create(p).ID)
	for b.Loop() {
		r := s.Create(p)
		if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
			b.Fatalf("status %s", got)
		}
	}
}

// BenchmarkShell is what the same script costs alone.
func BenchmarkShell(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("bash", "-c", "true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRuns measures runs of one job, 8 in flight on 2 slots.
func BenchmarkRuns(b *testing.B) {
	s := refltest.Start(b, refltest.Options{})
	o := s.RunnerOptions()
	o.Slots = 2
	s.Runner(o)
	p := refltest.Script("true")
	s.Wait(s.Create(p).ID)
	var open []store.Run
	began := time.Now()
	for b.Loop() {
		open = append(open, s.Create(p))
		if len(open) == 8 {
			s.Wait(open[0].ID)
			open = open[1:]
		}
	}
	for _, r := range open {
		s.Wait(r.ID)
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "runs/s")
}
