package localserver

import (
	"encoding/json"
	"net/http"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// maxReports bounds what a job shows beside states.
const maxReports = 500

// jobTasks are what a job reported of its inside.
func (s *Server) jobTasks(_ *http.Request, r *run, j *job) (any, error) {
	out := api.Tasks{Run: r.Number, Job: j.Name, Attempt: max(j.Attempt, 1), Version: r.version}
	var list pipeline.TaskList
	for _, step := range j.Steps {
		var e pipeline.TaskEvent
		if json.Unmarshal(step, &e) != nil {
			continue
		}
		list.AddEvent(&e)
		if report, ok := api.ReadTaskReport(step); ok && len(out.Reports) < maxReports {
			out.Reports = append(out.Reports, report)
		}
	}
	if !r.Finished.IsZero() || r.Interrupted {
		list.Close(pipeline.TaskCanceled, "the job ended", r.Finished)
	}
	out.Counts, out.Groups = list.Counts(), list.Groups()
	out.Total = out.Counts.Total()
	for _, t := range list.Tasks() {
		out.Tasks = append(out.Tasks, *t)
	}
	return out, nil
}
