package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// Why explains in words why a job does not start, or for position -1 why a run
// does not: what it waits for, or why it was skipped or ended as it did. It is
// empty if there is nothing to explain.
func (s *Scheduler) Why(ctx context.Context, id int64, pos int) (string, error) {
	w := why{s: s, ctx: ctx}
	var err error
	if w.run, err = s.store.Run(ctx, id); err != nil {
		return "", err
	}
	if pos == wholeRun {
		return w.ofRun()
	}
	texts, err := w.ofJobs([]int{pos})
	if err != nil {
		return "", err
	}
	return texts[0], nil
}

// WhyJobs is [Scheduler.Why] for several jobs of a run, in their order.
func (s *Scheduler) WhyJobs(ctx context.Context, id int64, positions []int) ([]string, error) {
	if len(positions) == 0 {
		return nil, nil
	}
	w := why{s: s, ctx: ctx}
	var err error
	if w.run, err = s.store.Run(ctx, id); err != nil {
		return nil, err
	}
	return w.ofJobs(positions)
}

// why explains one run.
type why struct {
	s   *Scheduler
	ctx context.Context
	run store.Run
	r   *run // with its jobs, unless only the run is asked about
}

// ofJobs reads the run once and explains jobs of it.
func (w *why) ofJobs(positions []int) ([]string, error) {
	body, err := w.s.store.PipelineBody(w.ctx, w.run.Pipeline)
	if err != nil {
		return nil, err
	}
	p, err := decode(body)
	if err != nil {
		return nil, err
	}
	graph, err := pipeline.NewGraph(p)
	if err != nil {
		return nil, err
	}
	rows, err := w.s.store.RunJobs(w.ctx, w.run.ID)
	if err != nil {
		return nil, err
	}
	w.r = newRun(w.run, newCompiled(w.run.Pipeline, p, graph))
	for _, j := range rows {
		w.r.jobs[j.Pos] = j
	}
	texts := make([]string, len(positions))
	for i, pos := range positions {
		if pos < 0 || pos >= len(p.Jobs) {
			return nil, errs.E(errs.NotFound, "run %d has no job at position %d", w.run.ID, pos)
		}
		if texts[i], err = w.ofJob(pos); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func (w *why) ofRun() (string, error) {
	if len(w.run.Held) == 0 {
		return w.run.Note, nil
	}
	var parts []string
	for _, key := range w.run.Slots {
		slot, err := w.s.store.SlotNamed(w.ctx, key)
		if err != nil {
			return "", err
		}
		holders, err := w.s.store.SlotHolders(w.ctx, key)
		if err != nil {
			return "", err
		}
		if slot.Max == 0 || len(holders) < slot.Max {
			continue
		}
		name := "slot " + key.Name
		if key.Scope == store.ScopeFlow {
			name = fmt.Sprintf("its flow, which runs %d at a time", slot.Max)
		}
		parts = append(parts, fmt.Sprintf("%s, held by %s", name, nameRuns(holders)))
	}
	if len(parts) == 0 {
		return "starts now", nil
	}
	return "waits for " + strings.Join(parts, "; and for "), nil
}

func nameRuns(holders []store.Claim) string {
	const most = 5
	var ids []string
	for i, c := range holders {
		if i == most {
			ids = append(ids, fmt.Sprintf("%d more", len(holders)-most))
			break
		}
		ids = append(ids, fmt.Sprint(c.Run))
	}
	if len(holders) == 1 {
		return "run " + ids[0]
	}
	return "runs " + strings.Join(ids, ", ")
}

func (w *why) ofJob(pos int) (string, error) {
	job, j := &w.r.c.pipeline.Jobs[pos], &w.r.jobs[pos]
	if len(w.run.Held) > 0 && j.Status == pipeline.StatusCreated {
		return w.ofRun()
	}
	switch j.Status {
	case pipeline.StatusCreated:
		return w.beforeIt(pos), nil
	case pipeline.StatusWaitingForResource:
		return w.group(job.ResourceGroup)
	case pipeline.StatusPending:
		return w.runner(pos)
	case pipeline.StatusScheduled:
		due, err := w.s.store.TimerOf(w.ctx, w.run.ID, pos)
		if err != nil || due.IsZero() {
			return "delayed", err
		}
		return "delayed until " + due.Format(time.RFC3339), nil
	case pipeline.StatusManual, pipeline.StatusRunning:
		if job.Downstream != nil {
			return w.downstream(pos, j.Status)
		}
		if j.Status == pipeline.StatusManual {
			return fmt.Sprintf("waits for a person: refline runs play %d %q", w.run.ID, job.Name), nil
		}
		return "", nil
	case pipeline.StatusSkipped:
		return pipeline.SkipCauses(w.r.c.pipeline, w.r.state())[pos], nil
	}
	return j.Note, nil
}

// beforeIt names the jobs that a job waits for.
func (w *why) beforeIt(pos int) string {
	graph, p := w.r.c.graph, w.r.c.pipeline
	var names []string
	if p.Jobs[pos].DAG {
		for _, n := range graph.Needs(pos) {
			if !w.r.jobs[n].Status.Done() {
				names = append(names, p.Jobs[n].Name)
			}
		}
	} else {
		for i := range p.Jobs {
			if p.Jobs[i].Stage == p.Jobs[pos].Stage {
				break
			}
			if s := w.r.jobs[i].Status; !s.Done() && !(s == pipeline.StatusManual && w.r.jobs[i].AllowFailure) {
				names = append(names, p.Jobs[i].Name)
			}
		}
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	if len(names) == 0 {
		return ""
	}
	return "waits for " + strings.Join(names, ", ")
}

func (w *why) group(name string) (string, error) {
	holders, err := w.s.store.SlotHolders(w.ctx, store.SlotKey{Scope: store.GroupScope(w.run.Project), Name: name})
	if err != nil {
		return "", err
	}
	if len(holders) == 0 {
		return fmt.Sprintf("waits for resource group %s, which its process mode keeps for another run", name), nil
	}
	if holders[0].Run == w.run.ID {
		return fmt.Sprintf("waits for resource group %s, held by job %s", name, w.r.c.pipeline.Jobs[holders[0].Pos].Name), nil
	}
	return fmt.Sprintf("waits for resource group %s, held by run %d", name, holders[0].Run), nil
}

func (w *why) downstream(pos int, status pipeline.Status) (string, error) {
	launch, known, err := w.s.store.LaunchOf(w.ctx, w.run.ID, pos)
	switch {
	case err != nil:
		return "", err
	case known && launch.Child == 0 && launch.Tries > 0:
		return fmt.Sprintf("its pipeline could not be started; try %d is at %s", launch.Tries+1, launch.Next.Format(time.RFC3339)), nil
	case known && launch.Child == 0:
		return "its pipeline is being made", nil
	case known && status == pipeline.StatusManual:
		return fmt.Sprintf("waits for run %d, which waits for a person", launch.Child), nil
	case known:
		return fmt.Sprintf("waits for run %d", launch.Child), nil
	default:
		return fmt.Sprintf("waits for a person: refline runs play %d %q", w.run.ID, w.r.c.pipeline.Jobs[pos].Name), nil
	}
}

// runner says which runner a pending job lacks.
func (w *why) runner(pos int) (string, error) {
	tags := w.r.c.pipeline.Jobs[pos].Tags
	open, err := w.s.store.OpenSessions(w.ctx)
	if err != nil {
		return "", err
	}
	if len(open) == 0 {
		return "no runner is connected", nil
	}
	lane := store.LaneOf(tags, w.run.Protected)
	draining := 0
	var nearest *store.Session
	var missing []string
	for i := range open {
		x := &open[i]
		if takes(x, lane) {
			if !x.Draining {
				return w.queued(pos)
			}
			draining++
			continue
		}
		lacks := slices.DeleteFunc(slices.Clone(lane.Tags), func(tag string) bool { return slices.Contains(x.Tags, tag) })
		if nearest == nil || len(lacks) < len(missing) {
			nearest, missing = x, lacks
		}
	}
	if draining > 0 {
		return "every runner that fits is draining", nil
	}
	name := fmt.Sprint(nearest.Runner)
	if r, err := w.s.store.Runner(w.ctx, nearest.Runner); err == nil {
		name = r.Name
	}
	if len(missing) == 0 {
		return fmt.Sprintf("every runner with its tags, such as %s, takes jobs of protected refs only", name), nil
	}
	word := "tag"
	if len(lane.Tags) > 1 {
		word = "tags"
	}
	has := "no tags"
	if len(nearest.Tags) > 0 {
		has = strings.Join(nearest.Tags, ", ")
	}
	return fmt.Sprintf("no runner has %s %s; the nearest is %s, which has %s", word, strings.Join(lane.Tags, ", "), name, has), nil
}

func (w *why) queued(pos int) (string, error) {
	n, err := w.s.store.QueuedBefore(w.ctx, w.run.ID, pos)
	switch {
	case err != nil || n < 0:
		return "", err
	case n == 0:
		return "waits for a free runner; it is the next", nil
	case n == 1:
		return "waits for a free runner; 1 job comes first", nil
	default:
		return fmt.Sprintf("waits for a free runner; %d jobs come first", n), nil
	}
}
