package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/executor/choice"
	"refline/internal/localrun"
	"refline/internal/termview"
)

// manual says which manual jobs are played.
func (s *session) manual() localrun.Manual {
	return localrun.Manual{Names: s.o.manual, Jobs: s.jobs, Pipeline: s.p, Earlier: s.Earlier}
}

// checkManual refuses --manual for a job that is not manual.
func (s *session) checkManual() error {
	if name, ok := s.manual().Check(); !ok {
		return errs.E(errs.NotFound, "--manual %s: no manual job of that name in the pipeline of %s%s", name, s.c.Where(), cli.DidYouMean(name, s.manual().Known()))
	}
	return nil
}

// plays reports whether a manual job is played when its turn comes.
func (s *session) plays(name string) bool { return s.manual().Plays(name) }

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
		answer, err := s.e.Ask(s.e.Stdout, list.String()+"  play which? (a number, a name or all; Enter for none) ")
		if err != nil || answer == "" {
			return ""
		}
		chosen := s.manual().Answered(answer, jobs)
		if len(chosen) == 0 {
			fmt.Fprintf(s.e.Stdout, "  no waiting job %q%s\n", answer, cli.DidYouMean(answer, jobs))
			continue
		}
		if chosen = slices.DeleteFunc(chosen, s.refused); len(chosen) > 0 {
			s.toPlay = chosen[1:]
			return chosen[0]
		}
	}
}

// refused asks what the job wants confirmed.
func (s *session) refused(name string) bool {
	j := s.p.Job(name)
	if j == nil || j.ManualConfirmation == "" {
		return false
	}
	yes, err := s.e.AskYes(s.e.Stdout, "  "+termview.Plain(name)+": "+j.ManualConfirmation+" (yes or no) ")
	return err != nil || !yes
}

// confirmer asks on the terminal; nil without one.
func (s *session) confirmer() choice.Ask {
	if !s.e.Interactive || s.o.json {
		return nil
	}
	return func(text string) (bool, error) {
		yes, err := s.e.AskYes(s.e.Stdout, text)
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
