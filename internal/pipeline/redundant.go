package pipeline

// Redundant names the jobs of a pipeline that may be canceled because there is
// a pipeline for a newer commit of the same ref. By auto_cancel:on_new_commit:
//
//   - conservative (the default): all that have not ended, but none when a job
//     that is not interruptible has started;
//   - interruptible: those that are interruptible and have not ended;
//   - none: none.
//
// The caller sends a Cancel for each, all in one [Advance]. A pipeline that
// only waits for people is left alone.
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
