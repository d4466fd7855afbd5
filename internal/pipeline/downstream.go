package pipeline

// Waits reports whether a trigger job waits for the end of the pipeline that it
// starts. Without a strategy it succeeds as soon as that pipeline exists.
func (d *Downstream) Waits() bool { return d.Strategy == "depend" || d.Strategy == "mirror" }

// StatusFor gives the status of a trigger job that waits, from the status of the
// run that it started. Until that has ended, the trigger job is running; with the
// strategy mirror it is manual while its child waits at a manual job.
func (d *Downstream) StatusFor(child Status) Status {
	switch child {
	case StatusSuccess, StatusSkipped:
		return StatusSuccess
	case StatusFailed, StatusCanceled:
		return StatusFailed
	case StatusManual:
		if d.Strategy == "mirror" {
			return StatusManual
		}
	}
	return StatusRunning
}

// ForwardedVariables gives the variables that a child pipeline gets from its
// trigger job: the job's own and, with forward:pipeline_variables, those that
// dotenv reports brought. (Those of the parent pipeline are given to the child as
// they are.) Variables in them are replaced by what they are for the trigger job;
// below, dotenv and above are as for [JobVariables]. A reference to a masked
// variable stays: the child knows that variable too, and resolves it.
func ForwardedVariables(j *Job, below, dotenv, above []Variable) ([]Variable, error) {
	all := JobVariables(j, below, dotenv, above)
	for i := range all {
		all[i].Raw = all[i].Raw || all[i].Masked
	}
	expanded, err := ExpandAll(all)
	if err != nil {
		return nil, err
	}
	value := make(map[string]string, len(expanded))
	for _, v := range expanded {
		if !v.Raw && !v.File {
			value[v.Name] = v.Value
		}
	}
	var out []Variable
	if j.Downstream.Forward.YAMLVariables {
		out = append(out, j.Variables...)
	}
	if j.Downstream.Forward.PipelineVariables {
		out = Merge(out, dotenv)
	}
	for i, v := range out {
		if v.Raw {
			continue
		}
		out[i].Value = Expand(v.Value, func(name string) (string, bool) {
			text, ok := value[name]
			return text, ok && name != v.Name
		})
	}
	return out, nil
}
