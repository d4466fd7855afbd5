package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// runSteps runs the entries of run: one after the other, each in a shell of its
// own, until one fails. Each is told as a step.
func (a *attempt) runSteps(ctx context.Context) (int, error) {
	for i, s := range a.Job.Run {
		if s.Script == "" {
			return 0, &reasonError{pipeline.RunnerUnsupported, errs.E(errs.Invalid,
				"step %q is taken from elsewhere, which needs GitLab's step runner; only steps with script run here", s.Name)}
		}
		a.tellStep(Step{Type: "step_started", Step: s.Name})
		var env []string
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			env = append(env, name+"="+a.expand(s.Env[name]))
		}
		code, err := a.exec(ctx, fmt.Sprintf("step%d", i), shellScript([]string{s.Script}), env)
		end := Step{Type: "step_finished", Step: s.Name, Status: "success"}
		if err != nil || code != 0 {
			end.Status = "failed"
		}
		a.tellStep(end)
		if err != nil || code != 0 {
			return code, err
		}
	}
	return 0, nil
}

func (a *attempt) tellStep(s Step) {
	if raw, err := json.Marshal(s); err == nil {
		a.Emit(Event{Kind: StepEvent, Job: a.Job.Name, Step: json.RawMessage(a.Secrets.String(string(raw)))})
	}
}
