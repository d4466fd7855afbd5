package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// checkManual refuses --manual for what is no manual job.
func (s *session) checkManual() error {
	for _, m := range s.o.manual {
		if m == "all" {
			continue
		}
		found := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool {
			return (j.Name == m || j.Base == m) && j.When == pipeline.Manual
		})
		// The job may be one of a child pipeline, which nobody knows yet.
		child := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool { return j.Trigger != nil })
		if !found && !child {
			return errs.E(errs.NotFound, "--manual %s: no manual job of that name in the pipeline of %s", m, s.c.where())
		}
	}
	return nil
}

// plays tells whether a manual job is played when its turn comes.
// In a child pipeline a job's name follows its trigger's: "trigger / job".
func (s *session) plays(name string) bool {
	root := s.c.pipeline.Job(name)
	base := name[strings.LastIndex(name, " / ")+1:]
	base = strings.TrimPrefix(base, "/ ")
	if root != nil {
		base = root.Base
	}
	for _, m := range s.o.manual {
		if m == "all" || m == name || m == base {
			return true
		}
	}
	return root != nil && slices.Contains(s.jobs, name)
}

// askManual asks on the terminal which manual job to play.
func (s *session) askManual(ctx context.Context, jobs []string) string {
	s.view.close()
	defer s.view.reopen()
	if s.answers == nil {
		s.answers = bufio.NewReader(s.e.stdin)
	}
	for {
		name, ok := s.question(fmt.Sprintf("  ◌ waiting: %s\n  play which? (a name, or Enter for none) ", strings.Join(jobs, ", ")))
		if !ok || name == "" {
			return ""
		}
		if !slices.Contains(jobs, name) {
			fmt.Fprintf(s.e.stdout, "  no waiting job %q%s\n", name, didYouMean(name, jobs))
			continue
		}
		if j := s.c.pipeline.Job(name); j != nil && j.ManualConfirmation != "" {
			if yes, ok := s.question("  " + j.ManualConfirmation + " (yes or no) "); !ok || yes != "yes" && yes != "y" {
				continue
			}
		}
		return name
	}
}

// question reads a line from the terminal; false when the run is stopped.
func (s *session) question(text string) (string, bool) {
	fmt.Fprint(s.e.stdout, text)
	answer := make(chan string, 1)
	go func() {
		line, err := s.answers.ReadString('\n')
		if err != nil {
			fmt.Fprintln(s.e.stdout)
		}
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-s.e.stop.Done():
		fmt.Fprintln(s.e.stdout)
		return "", false
	case a := <-answer:
		return a, true
	}
}
