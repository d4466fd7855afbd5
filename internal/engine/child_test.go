package engine

import "refline/internal/pipeline"

func trigger(name, strategy string) pipeline.Job {
	return pipeline.Job{Name: name, Trigger: &pipeline.Trigger{Strategy: strategy, Forward: pipeline.Forward{YAMLVariables: true}}}
}
