package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
	"refline/internal/executor/choice"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// checkManual refuses --manual for what is no manual job.
func (s *session) checkManual() error {
	for _, m := range s.o.manual {
		if m == "all" {
			continue
		}
		found := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool {
			return (j.Name == m || j.Base == m) && j.When == pipeline.WhenManual
		})
		// The job may be one of a child pipeline, which nobody knows yet.
		child := slices.ContainsFunc(s.c.pipeline.Jobs, func(j pipeline.Job) bool { return j.Downstream != nil })
		if !found && !child {
			return errs.E(errs.NotFound, "--manual %s: no manual job of that name in the pipeline of %s%s", m, s.c.where(), didYouMean(m, s.manualNames()))
		}
	}
	return nil
}

func (s *session) manualNames() []string {
	var names []string
	for _, j := range s.c.pipeline.Jobs {
		if j.When == pipeline.WhenManual {
			names = append(names, j.Name)
		}
	}
	return names
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
	return root != nil && slices.Contains(s.jobs, name) || s.Earlier.Passed(name) || s.Earlier.Played(name)
}

// askManual asks on the terminal which manual job to play. An answer may mean
// several; they are played one after the other without another question.
func (s *session) askManual(ctx context.Context, jobs []string) string {
	for len(s.toPlay) > 0 {
		name := s.toPlay[0]
		s.toPlay = s.toPlay[1:]
		if slices.Contains(jobs, name) {
			return name
		}
	}
	s.view.Close()
	defer s.view.Reopen()
	for {
		var list strings.Builder
		for i, name := range jobs {
			fmt.Fprintf(&list, "  ◌ %d %s\n", i+1, termview.Plain(name))
		}
		answer, err := s.e.ask(s.e.stdout, list.String()+"  play which? (a number, a name or all; Enter for none) ")
		if err != nil || answer == "" {
			return ""
		}
		chosen := s.chosen(answer, jobs)
		if len(chosen) == 0 {
			fmt.Fprintf(s.e.stdout, "  no waiting job %q%s\n", answer, didYouMean(answer, jobs))
			continue
		}
		if chosen = slices.DeleteFunc(chosen, s.refused); len(chosen) > 0 {
			s.toPlay = chosen[1:]
			return chosen[0]
		}
	}
}

// chosen are the waiting jobs that an answer means: a number of the list, a
// name, what comes before the variables of a parallel job, or all.
func (s *session) chosen(answer string, jobs []string) []string {
	if slices.Contains(jobs, answer) {
		return []string{answer}
	}
	if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(jobs) {
		return []string{jobs[n-1]}
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(name string) bool {
		j := s.c.pipeline.Job(name)
		return answer != "all" && (j == nil || j.Base != answer)
	})
}

// refused asks what the job wants confirmed.
func (s *session) refused(name string) bool {
	j := s.c.pipeline.Job(name)
	if j == nil || j.ManualConfirmation == "" {
		return false
	}
	yes, err := s.e.askYes(s.e.stdout, "  "+termview.Plain(name)+": "+j.ManualConfirmation+" (yes or no) ")
	return err != nil || !yes
}

// confirmer asks on the terminal; nil without one.
func (s *session) confirmer() choice.Ask {
	if !s.e.interactive || s.o.json {
		return nil
	}
	return func(text string) (bool, error) {
		yes, err := s.e.askYes(s.e.stdout, text)
		if errors.Is(err, io.EOF) {
			err = nil // no answer is no
		}
		return yes, err
	}
}

// pausing takes the live lines away while a question is asked.
func (s *session) pausing(ask choice.Ask) choice.Ask {
	if ask == nil {
		return nil
	}
	return func(text string) (bool, error) {
		s.view.Close()
		defer s.view.Reopen()
		return ask(text)
	}
}
