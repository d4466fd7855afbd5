package localrun

import "refline/internal/pipeline"

// Waiting names the manual jobs that wait in the child pipelines of a trigger
// job, as "trigger / job".
func Waiting(res Result, trigger string) (names []string) {
	for _, c := range res.Children {
		if c.Trigger != trigger {
			continue
		}
		jobs := c.Input.Pipeline.Jobs
		for i, st := range c.Result.State.Jobs {
			if st.Status == pipeline.StatusManual && jobs[i].When == pipeline.WhenManual && !st.AllowFailure {
				names = append(names, trigger+" / "+jobs[i].Name)
			}
			for _, inner := range Waiting(c.Result, jobs[i].Name) {
				names = append(names, trigger+" / "+inner)
			}
		}
	}
	return names
}
