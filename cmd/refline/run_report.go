package main

import (
	"context"
	"fmt"

	"refline/internal/cli"
	"refline/internal/localrun"
	"refline/internal/pipeline"
	"refline/internal/runview"
	"refline/internal/termview"
)

// end is what is said of the run when it has ended.
func (s *session) end(res localrun.Result) *runview.End {
	return &runview.End{Pipeline: s.p, Result: res, Record: &s.Record, Again: s.options.Again(), Named: s.jobs}
}

// verdict prints the last lines of what failed and the sums, and says how the
// run ended.
func (s *session) verdict(res localrun.Result) error {
	end := s.end(res)
	if !s.o.json {
		end.Failures(s.e.Stdout, s.tail)
		end.Sums(s.e.Stdout)
		if len(s.CutLogs) > 0 {
			fmt.Fprintf(s.e.Stdout, "log longer than %d MiB, its rest not kept: %s; --log-limit MIB keeps more\n", s.o.logLimit, termview.Names(s.CutLogs))
		}
		end.Uncounted(s.e.Stdout)
	}
	switch {
	case s.e.Stop.Err() != nil:
		return context.Canceled
	case res.Result == pipeline.ResultFailed, res.Result == pipeline.ResultCanceled:
		return cli.ErrRed
	}
	return end.Missed()
}

// tail are the last lines of a job's log; nil if they were shown already.
func (s *session) tail(job string) []string {
	if s.view.Mode() != termview.ModeLive {
		return nil
	}
	return s.view.Tail(job)
}
