package pipeline

// Redundant returns the names of the jobs that may be canceled because the same
// ref has a pipeline for a newer commit. It depends on auto_cancel:on_new_commit:
//
//   - conservative (the default): all jobs that have not ended, but none if a job
//     that is not interruptible has started;
//   - interruptible: interruptible jobs that have not ended;
//   - none: none.
//
// The caller sends EventCancel for each, all in one [Graph.Advance]. A pipeline
// that only waits for people is not redundant.
func Redundant(p *Pipeline, s State) []string {
	if !s.Status.cancelable() || len(s.Jobs) != len(p.Jobs) {
		return nil
	}
	only := false
	switch p.AutoCancel.OnNewCommit {
	case "", "conservative":
		for i := range p.Jobs {
			if p.Jobs[i].Downstream == nil && !p.Jobs[i].Interruptible && s.Jobs[i].Status.started() {
				return nil
			}
		}
	case "interruptible":
		only = true
	default:
		return nil
	}
	var names []string
	for i := range p.Jobs {
		if s.Jobs[i].Status.cancelable() && (p.Jobs[i].Interruptible || !only) {
			names = append(names, p.Jobs[i].Name)
		}
	}
	return names
}

// started reports whether a job's effects may have begun. A canceled job does
// not count, as in GitLab.
func (s Status) started() bool { return s == StatusRunning || s == StatusSuccess || s == StatusFailed }
