package server

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/image"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

var flowName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\pL\pN_][\pL\pN_.+@/-]*$`) })

// registerFlow checks the ref and the file, and then makes the flow or changes
// the one of its name.
func (s *Server) registerFlow(ctx context.Context, actor string, in api.FlowInput) (api.Registered, error) {
	var out api.Registered
	project, f, err := s.registration(ctx, in)
	if err != nil {
		return out, err
	}
	if in.Runtime != "" {
		if _, err := s.store.Runtime(ctx, in.Runtime); err != nil {
			return out, err
		}
	}
	f.Project, f.FollowTag, f.Runtime, f.Inputs, f.Actor = project.ID, in.FollowTag, in.Runtime, in.Inputs, actor
	f.Concurrency, f.WhenBusy, f.Slots, f.Priority = in.Concurrency, in.WhenBusy, in.Slots, in.Priority
	if f.WhenBusy == "" && f.Concurrency > 0 {
		f.WhenBusy = "queue"
	}
	launch := scheduler.Launch{Project: project, Trigger: pipeline.TriggerAPI, Inputs: in.Inputs, Actor: actor, Trust: trustOf(ctx), Register: true}
	if f.RefKind == store.RefImage {
		launch.Flow = &f
	} else {
		launch.File, launch.Ref = f.Path, git.Ref{Kind: git.Kind(f.RefKind), Name: f.Ref}
	}
	found, err := s.launcher.Resolve(ctx, launch, 0)
	if err != nil {
		return out, err
	}
	d := found.Definition
	if f.Path == "" {
		f.Path = d.File
	}
	switch c := found.Commit; {
	case found.Image != nil:
		f.Pinned = found.Image.Digest
	case c.Kind == git.KindBranch:
		f.RefKind, f.Ref = string(c.Kind), c.Name
	default:
		f.RefKind, f.Ref, f.Pinned = string(c.Kind), cmp.Or(c.Name, c.Commit), c.Commit
	}
	if f.Name, f.Named = in.Name, in.Name != ""; f.Name == "" {
		f.Name = defaultFlowName(f, d.Facts.DefaultBranch)
	}
	if len(f.Name) > 200 || !flowName().MatchString(f.Name) {
		return out, errs.E(errs.Invalid, "%q cannot be the name of a flow: letters, digits and _ . + @ / -; give another with --name", f.Name)
	}
	out.Commit, out.Findings = found.Commit.Commit, api.Findings(d.Findings)
	if d.Pipeline != nil {
		out.Jobs = len(d.Pipeline.Jobs)
	}
	before, err := s.flowNamed(ctx, project, f.Name)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return out, err
	}
	out.Created = err != nil
	f.ID, f.Version, f.Paused, f.Created = before.ID, before.Version+1, before.Paused, before.Created
	if !out.Created {
		out.Changes = flowChanges(before, f)
	}
	schedules, err := s.registeredSchedules(ctx, project, f, in.Schedules, &out)
	if err != nil {
		return out, err
	}
	if !in.DryRun && (out.Created || len(flowChanges(before, f)) > 0) {
		if err := s.replaceFlow(ctx, before, &f); err != nil {
			return out, err
		}
	}
	if !in.DryRun && in.Schedules != nil {
		if _, err := s.scheduler.SetSchedules(ctx, f.ID, schedules); err != nil {
			return out, err
		}
	}
	out.Flow = wireFlow(project.Name, f)
	for _, n := range schedules {
		w, err := s.wireSchedule(n, project.Name, f.Name, 3)
		if err != nil {
			return out, err
		}
		out.Flow.Schedules = append(out.Flow.Schedules, w)
	}
	return out, nil
}

// registration is the project of a registration, and the flow as far as it says
// where its files are.
func (s *Server) registration(ctx context.Context, in api.FlowInput) (store.Project, store.Flow, error) {
	if in.Image != "" {
		return s.imageFlow(ctx, in)
	}
	f := store.Flow{Path: cleanPath(in.Path), RefKind: in.RefKind, Ref: in.Ref}
	project, err := s.projectFor(ctx, in.Project, in.Repository, !in.DryRun)
	if err != nil || in.PreferTag == "" {
		return project, f, err
	}
	has, err := s.hasTag(ctx, project, in.PreferTag)
	if has {
		f.RefKind, f.Ref = string(git.KindTag), in.PreferTag
	}
	return project, f, err
}

// hasTag reports whether a repository has a tag.
func (s *Server) hasTag(ctx context.Context, p store.Project, tag string) (bool, error) {
	remote, end, err := s.remote(ctx, p)
	if err != nil {
		return false, err
	}
	defer end()
	_, err = remote.Resolve(ctx, git.Ref{Kind: git.KindTag, Name: tag})
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return false, nil
	}
	return err == nil, err
}

// registeredSchedules checks the schedules that come with a registration, and adds
// how they differ from those that the flow has to the changes.
func (s *Server) registeredSchedules(ctx context.Context, p store.Project, f store.Flow, list *[]api.ScheduleInput, out *api.Registered) ([]store.Schedule, error) {
	if list == nil {
		return nil, nil
	}
	var have []store.Schedule
	var err error
	if f.ID != 0 {
		if have, err = s.store.Schedules(ctx, f.ID); err != nil {
			return nil, err
		}
	}
	var want []store.Schedule
	for _, in := range *list {
		n, err := s.checkSchedule(ctx, p, f, scheduleOf(f.Actor, f.ID, in))
		if err != nil {
			return nil, err
		}
		want = append(want, n)
	}
	if from, to := scheduleTexts(have), scheduleTexts(want); from != to && !out.Created {
		out.Changes = append(out.Changes, api.Change{Field: "schedules", From: from, To: to})
	}
	return want, nil
}

// scheduleTexts names schedules in one order.
func scheduleTexts(list []store.Schedule) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = n.Cron + " " + n.Timezone
		if n.Cron == "" {
			texts[i] = "every " + n.Every.String()
		}
		if n.CatchUp != "" && n.CatchUp != "none" {
			texts[i] += " catch-up " + n.CatchUp
		}
		if len(n.Inputs) > 0 {
			texts[i] += " " + inputTexts(n.Inputs)
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}

// inputTexts writes inputs as the command line has them.
func inputTexts(inputs map[string]any) string {
	var list []string
	for k, v := range inputs {
		list = append(list, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// putFlow writes a flow, which gets an id if it is new.
func (s *Server) putFlow(ctx context.Context, f *store.Flow) error {
	f.Updated = s.options.Now().UTC().Truncate(time.Millisecond)
	if f.ID == 0 {
		ids, err := s.store.NewIDs(ctx, "flow", 1)
		if err != nil {
			return err
		}
		f.ID, f.Created = ids[0], f.Updated
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutFlow(ctx, *f) })
	if errs.Is(err, errs.Conflict) {
		err = errs.E(errs.Conflict, "flow %s was changed at the same time; look at it and try again: refline flow show %s", f.Name, f.Name)
	}
	return err
}

// replaceFlow is putFlow for a flow that was there: runs that wait for a place are
// let in by a higher limit.
func (s *Server) replaceFlow(ctx context.Context, before store.Flow, f *store.Flow) error {
	if err := s.putFlow(ctx, f); err != nil || before.ID == 0 || before.Concurrency == f.Concurrency && before.WhenBusy == f.WhenBusy {
		return err
	}
	return s.scheduler.SetSlot(ctx, store.Slot{SlotKey: store.FlowSlot(f.ID), Max: f.Concurrency, Policy: f.WhenBusy})
}

func cleanPath(p string) string {
	if p == "" {
		return ""
	}
	return strings.TrimPrefix(path.Clean(filepathToSlash(p)), "/")
}

// defaultFlowName is the name of the file, or of the flow that the path names in it,
// with the branch if that is not the default.
func defaultFlowName(f store.Flow, defaultBranch string) string {
	file, name := definition.SplitFlow(f.Path)
	if base := path.Base(file); name == "" {
		name = strings.TrimSuffix(base, path.Ext(base))
	}
	if name == ".gitlab-ci" || name == "" || name[0] == '.' {
		name = cmp.Or(path.Base(path.Dir(file)), "pipeline")
		if name == "." || name == "/" {
			name = "pipeline"
		}
	}
	if f.RefKind == string(git.KindBranch) && f.Ref != defaultBranch {
		name += "@" + f.Ref
	}
	return name
}

// flowNamed finds a flow of a project.
func (s *Server) flowNamed(ctx context.Context, project store.Project, name string) (store.Flow, error) {
	if project.ID == 0 {
		return store.Flow{}, errs.E(errs.NotFound, "no flow %q", name)
	}
	list, err := s.store.Flows(ctx, store.FlowFilter{Project: project.ID, Name: name, Archived: true})
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, "project %s has no flow %q; list them: refline flow list", project.Name, name)
	}
	if err != nil {
		return store.Flow{}, err
	}
	return list[0], nil
}

// changeFlow takes over what is given.
func (s *Server) changeFlow(ctx context.Context, actor string, f store.Flow, in api.FlowChange) (store.Flow, error) {
	before := f
	if in.Runtime != nil && *in.Runtime != "" {
		if _, err := s.store.Runtime(ctx, *in.Runtime); err != nil {
			return f, err
		}
	}
	take(&f.Runtime, in.Runtime)
	take(&f.Inputs, in.Inputs)
	take(&f.Concurrency, in.Concurrency)
	take(&f.WhenBusy, in.WhenBusy)
	take(&f.Slots, in.Slots)
	take(&f.Priority, in.Priority)
	take(&f.FollowTag, in.FollowTag)
	take(&f.Paused, in.Paused)
	if len(flowChanges(before, f)) == 0 {
		return f, nil
	}
	f.Version, f.Actor = f.Version+1, actor
	err := s.replaceFlow(ctx, before, &f)
	return f, err
}

func take[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// flowChanges lists what differs, in the words of the command line.
func flowChanges(a, b store.Flow) []api.Change {
	var out []api.Change
	add := func(field string, from, to any) {
		if x, y := fmt.Sprint(from), fmt.Sprint(to); x != y {
			out = append(out, api.Change{Field: field, From: x, To: y})
		}
	}
	ref := func(f store.Flow) string { return f.RefKind + " " + f.Ref }
	add("path", a.Path, b.Path)
	add("ref", ref(a), ref(b))
	pinned := "commit"
	if b.RefKind == store.RefImage {
		pinned = "digest"
	}
	add(pinned, a.Pinned, b.Pinned)
	add("follow tag", a.FollowTag, b.FollowTag)
	add("runtime", a.Runtime, b.Runtime)
	add("inputs", inputTexts(a.Inputs), inputTexts(b.Inputs))
	add("concurrency", a.Concurrency, b.Concurrency)
	add("when busy", a.WhenBusy, b.WhenBusy)
	add("slots", strings.Join(a.Slots, ","), strings.Join(b.Slots, ","))
	add("priority", a.Priority, b.Priority)
	add("paused", a.Paused, b.Paused)
	add("archived", !a.Archived.IsZero(), !b.Archived.IsZero())
	return out
}

// archiveFlows archives the flows that follow branches which are gone. Those whose
// name a person gave stay: they say themselves that the branch is gone. A flow that
// is registered again comes back.
func (s *Server) archiveFlows(ctx context.Context, project int64, deleted []scheduler.RefMove) ([]store.Flow, error) {
	list, err := s.store.Flows(ctx, store.FlowFilter{Project: project})
	if err != nil {
		return nil, err
	}
	var archived []store.Flow
	for _, f := range list {
		gone := slices.ContainsFunc(deleted, func(m scheduler.RefMove) bool { return m.Ref == "refs/heads/"+f.Ref })
		if !gone || f.Named || f.RefKind != string(git.KindBranch) {
			continue
		}
		f.Archived, f.Version, f.Actor = s.options.Now().UTC().Truncate(time.Millisecond), f.Version+1, "deleted branch "+f.Ref
		if err := s.putFlow(ctx, &f); err != nil && !errs.Is(err, errs.Conflict) {
			return archived, err
		}
		archived = append(archived, f)
	}
	return archived, nil
}

// flowHistory lists the versions of a flow with what each changed.
func (s *Server) flowHistory(ctx context.Context, f store.Flow) ([]api.FlowVersion, error) {
	const most = 100
	list, err := s.store.FlowVersions(ctx, f.ID, most+1)
	if err != nil {
		return nil, err
	}
	out := []api.FlowVersion{}
	for i, v := range list[:min(most, len(list))] {
		w := api.FlowVersion{Version: v.Version, Actor: v.Actor, Created: v.Created}
		if i+1 < len(list) {
			w.Changes = flowChanges(list[i+1].Flow, v.Flow)
		}
		out = append(out, w)
	}
	return out, nil
}

// storage says where a flow's code comes from.
func (s *Server) storage(p store.Project, f store.Flow, last *store.Run) *api.Storage {
	st := &api.Storage{
		Repository: p.URL, Host: cmp.Or(hostOf(p.URL), "this computer"), Transport: transportOf(p.URL),
		RefKind: f.RefKind, Ref: f.Ref, Path: f.Path, Flow: f.Name, Submodules: "none", Depth: defaultDepth,
	}
	if f.RefKind == store.RefImage {
		st.Image, st.Digest, st.Transport, st.Depth = f.Ref, f.Pinned, "registry", 0
		if host, err := image.Host(f.Ref); err == nil {
			st.Host = host
		}
		if last != nil {
			st.Commit = last.SHA
		}
		return st
	}
	for _, name := range []string{p.DeployKey, p.TokenVariable, p.URLVariable} {
		if name != "" {
			st.Secrets = append(st.Secrets, name)
		}
	}
	if p.TokenVariable != "" {
		st.TokenUser = "oauth2"
	}
	if st.Commit = f.Pinned; st.Commit == "" && last != nil {
		st.Commit = last.SHA
	}
	return st
}

// defaultDepth is how many commits of history a checkout has, as on GitLab.
const defaultDepth = 20

func wireFlow(project string, f store.Flow) api.Flow {
	out := api.Flow{
		ID: f.ID, Project: project, Name: f.Name, Path: f.Path, RefKind: f.RefKind, Ref: f.Ref, Pinned: f.Pinned, FollowTag: f.FollowTag,
		Runtime: f.Runtime, Inputs: f.Inputs, Concurrency: f.Concurrency, WhenBusy: f.WhenBusy, Slots: f.Slots, Priority: f.Priority,
		Paused: f.Paused, Version: f.Version, Actor: f.Actor, Created: f.Created, Updated: f.Updated,
	}
	if !f.Archived.IsZero() {
		out.Archived = &f.Archived
	}
	return out
}
