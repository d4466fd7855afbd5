package engine

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// runSteps runs the entries of run: one after the other, each in a shell of its
// own, until one fails. Each is reported as a step.
func (a *attempt) runSteps(ctx context.Context) (int, error) {
	if why := unsupported(a.Job.Run); why != "" {
		return 0, &reasonError{pipeline.ReasonRunnerUnsupported, errs.E(errs.Invalid, "%s", why)}
	}
	for i, s := range a.Job.Run {
		a.emitEntry(pipeline.Step{Type: pipeline.StepStarted, Step: s.Name})
		var env []string
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			env = append(env, name+"="+a.expand(s.Env[name]))
		}
		code, err := a.exec(ctx, scriptStep(i), env)
		end := pipeline.Step{Type: pipeline.StepFinished, Step: s.Name, Status: "success"}
		if err != nil || code != 0 {
			end.Status = "failed"
		}
		a.emitEntry(end)
		if err != nil || code != 0 {
			return code, err
		}
	}
	return 0, nil
}

func (a *attempt) emitEntry(s pipeline.Step) {
	if raw, err := json.Marshal(s); err == nil {
		a.emitStep(raw)
	}
}
