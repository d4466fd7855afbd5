package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// TestRunsByIndex is invariant 13 without the million: whatever lists of runs are
// filtered by, neither database reads all runs, jobs or attempts for it. bench/server
// -million measures the same beside a million runs.
func TestRunsByIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		ctx := t.Context()
		at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			r := store.Run{ID: 1, Project: 1, Number: 1, Flow: 1, Pipeline: 1, Version: 1, Status: pipeline.StatusSuccess, Result: pipeline.ResultSuccess,
				Stages: []pipeline.Status{pipeline.StatusSuccess}, Ref: "main", Created: at, Started: at, Finished: at}
			j := store.Job{Run: 1, Version: 1, AttemptID: 1, Started: at, Finished: at}
			j.Status, j.Attempt = pipeline.StatusSuccess, 1
			for _, err := range []error{
				tx.AddProject(ctx, store.Project{ID: 1, Name: "p", Created: at}),
				tx.PutFlow(ctx, store.Flow{ID: 1, Project: 1, Name: "f", Version: 1, Created: at, Updated: at}),
				tx.PutRuns(ctx, []store.Run{r}),
				tx.PutJobs(ctx, []store.Job{j}),
				tx.PutAttempts(ctx, []store.Attempt{{ID: 1, Run: 1, Attempt: 1, Session: 1, State: store.AttemptEnded, Started: at, Finished: at}}),
				tx.PutRunFacts(ctx, 1, []byte("{}")),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		// Enough rows that a database which knows how many there are uses indexes.
		if err := storetest.Generate(ctx, address, storetest.Generated{Runs: 20_000, Projects: 10, Flows: 10, Template: 1}); err != nil {
			t.Fatal(err)
		}
		type query struct {
			name, text string
			args       []any
		}
		var asked []query
		name := ""
		s.Asked(func(text string, args []any) { asked = append(asked, query{name, text, args}) })
		read := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		one, several := []pipeline.Status{pipeline.StatusFailed}, []pipeline.Status{pipeline.StatusSuccess, pipeline.StatusRunning, pipeline.StatusCanceled}
		for what, f := range map[string]store.RunFilter{
			"project": {Project: 1001}, "project before": {Project: 1001, Before: 110_000}, "flow": {Flow: 100_003}, "project flow": {Project: 1000, Flow: 100_003},
			"ref": {Ref: "feature-3"}, "project ref": {Project: 1001, Ref: "main"}, "flow ref": {Project: 1000, Flow: 100_003, Ref: "none"}, "parent": {Parent: 7},
			"commit": {Commit: "abc123"}, "actor": {Actor: "ada"}, "source": {Source: "push", Statuses: one}, "flow commit": {Flow: 100_003, Project: 1000, Commit: "abc123", Ref: "main", Statuses: several},
			"since": {Since: at, Statuses: one}, "until": {Until: at.Add(-time.Hour), Project: 1001}, "actor since": {Actor: "ada", Since: at, Until: at.Add(time.Hour)},
			"status": {Statuses: one}, "statuses": {Statuses: several}, "project statuses": {Project: 1001, Statuses: several}, "flow statuses": {Flow: 100_003, Statuses: several},
			"ref statuses": {Ref: "none", Statuses: several}, "project ref statuses": {Project: 1001, Ref: "none", Statuses: several}, "flow ref statuses": {Flow: 100_003, Ref: "none", Statuses: several},
		} {
			name = "runs by " + what
			_, err := s.Runs(ctx, f)
			read(name, err)
		}
		name = "the overview"
		day := at.Add(-24 * time.Hour)
		for _, project := range []int64{0, 1001} {
			_, err := s.LatestRuns(ctx, project, pipeline.StatusFailed, day, 300)
			read(name, err)
			_, err = s.LatestRuns(ctx, project, pipeline.StatusManual, time.Time{}, 200)
			read(name, err)
			_, err = s.CountSince(ctx, project, day, time.Hour, 1000)
			read(name, err)
			_, err = s.CountRunsOf(ctx, project, pipeline.StatusRunning)
			read(name, err)
		}
		name = "a run"
		for _, r := range []store.Run{{ID: 105_000, Flow: 100_003}, {ID: 105_000, Project: 1001, Ref: "none"}} {
			_, _, err := s.Neighbours(ctx, r)
			read(name, err)
			_, err = s.LineRuns(ctx, r.Line(), 50)
			read(name, err)
		}
		_, err := s.RunJobs(ctx, 105_000)
		read(name, err)
		_, err = s.RunAttempts(ctx, 105_000)
		read(name, err)
		name = "flows"
		last, err := s.LastRuns(ctx, store.FlowFilter{Project: 1003})
		read(name, err)
		s.Asked(nil)
		if len(last) == 0 {
			t.Error("no flow has a last run")
		}
		for flow, r := range last {
			list, err := s.Runs(ctx, store.RunFilter{Flow: flow, Limit: 1})
			if err != nil || len(list) != 1 || list[0].ID != r.ID {
				t.Errorf("the last run of flow %d is %d; listed is %v, %v", flow, r.ID, list, err)
			}
		}
		for _, q := range asked {
			plan, err := s.Explain(ctx, q.text, q.args)
			read(q.name, err)
			for line := range strings.Lines(plan) {
				line = strings.TrimSpace(line)
				for _, table := range []string{"runs", "jobs", "attempts"} {
					if line == "SCAN "+table || strings.Contains(line, "Seq Scan on "+table) {
						t.Errorf("%s: all %s are read\n%s\n%s", q.name, table, q.text, plan)
					}
				}
			}
		}
	})
}
