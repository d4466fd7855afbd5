package localrun

import (
	"sync"

	"refline/internal/pipeline"
)

// Names gives jobs of child runs the names that people read: a job of a child is
// "trigger job / job". It learns from the reports which run is whose child.
type Names struct {
	mu     sync.Mutex
	prefix map[string]string // run → the names of the trigger jobs above it
}

// Observe learns from a report. It must see the reports in order.
func (n *Names) Observe(r pipeline.Report) {
	if r.Kind != pipeline.ReportChild {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.prefix == nil {
		n.prefix = map[string]string{}
	}
	n.prefix[r.Child] = n.prefix[r.Run] + r.Job + " / "
}

// Of gives the name of a job of a run.
func (n *Names) Of(run, job string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.prefix[run] + job
}
