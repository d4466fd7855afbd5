package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/netguard"
	"refline/internal/notify"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// notices are what forges, chats and mail are to show of runs.
type notices struct {
	notify.Deliverer
	wake chan struct{} // of deliverNotices

	mu     sync.Mutex
	wanted map[int64]wantedNotices // by project
}

// wantedNotices is who wants to hear of a project's runs. Runs change often, so it
// is kept for a moment.
type wantedNotices struct {
	status bool // its forge shows states
	rules  []datedRule
	read   time.Time
}

// datedRule is a rule and since when there is one: it is not for what was before.
type datedRule struct {
	notify.Rule
	created time.Time
}

// since returns the rules that there were at a time.
func (w wantedNotices) since(at time.Time) []notify.Rule {
	var list []notify.Rule
	for _, r := range w.rules {
		if !r.created.After(at) {
			list = append(list, r.Rule)
		}
	}
	return list
}

const wantedFor = 10 * time.Second

// forget reads anew who wants to hear of what: something about it changed.
func (n *notices) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.wanted)
}

func (s *Server) openNotices() {
	s.notices = &notices{wake: make(chan struct{}, 1), wanted: map[int64]wantedNotices{}, Deliverer: notify.Deliverer{
		Store: noticeStore{s.store}, Repository: s.forgeOf, Rule: s.notifyRule, Now: s.options.Now, Mail: s.options.Mail,
		Client: s.guard.Client(netguard.ClientOptions{Timeout: time.Minute}),
	}}
}

// noticeStore keeps messages in the database.
type noticeStore struct{ store *store.Store }

var _ notify.Store = noticeStore{}

// Want implements [notify.Store].
func (n noticeStore) Want(ctx context.Context, messages []notify.Message) error {
	ids, err := n.store.NewIDs(ctx, "notification", len(messages))
	if err != nil || len(messages) == 0 {
		return err
	}
	return n.store.Update(ctx, func(tx *store.Tx) error {
		for i, m := range messages {
			m.ID = ids[i]
			if err := tx.WantNotification(ctx, store.Notification(m)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Due implements [notify.Store].
func (n noticeStore) Due(ctx context.Context, now time.Time, most int) ([]notify.Message, error) {
	rows, err := n.store.DueNotifications(ctx, now, most)
	list := make([]notify.Message, len(rows))
	for i, row := range rows {
		list[i] = notify.Message(row)
	}
	return list, err
}

// Finish implements [notify.Store].
func (n noticeStore) Finish(ctx context.Context, m notify.Message) error {
	return n.store.Update(ctx, func(tx *store.Tx) error { return tx.FinishNotification(ctx, store.Notification(m)) })
}

// Next implements [notify.Store].
func (n noticeStore) Next(ctx context.Context) (time.Time, error) {
	return n.store.NextNotification(ctx)
}

// deliverNotices sends what is wanted, until ctx is done.
func (s *Server) deliverNotices(ctx context.Context) {
	for ctx.Err() == nil {
		next, err := s.notices.Pass(ctx)
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("send notifications", "error", err)
		}
		s.rest(ctx, s.notices.wake, next)
	}
}

// How long is kept what became of notifications, and why runs could not be made.
const (
	keptNotices  = 30 * 24 * time.Hour
	keptWanted   = 30 * 24 * time.Hour
	prunePortion = 500
)

// pruneNotices removes old notifications and wanted runs, until ctx is done.
func (s *Server) pruneNotices(ctx context.Context) {
	for {
		now := s.options.Now()
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			if err := tx.PruneNotifications(ctx, now.Add(-keptNotices), prunePortion); err != nil {
				return err
			}
			return tx.PruneWantedRuns(ctx, now.Add(-keptWanted), prunePortion)
		})
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("remove old notifications", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Minute):
		}
	}
}

// watchRuns wants what follows from each change of a run, until ctx is done. At its
// begin, and when changes were missed, it looks at the open and the newest runs.
func (s *Server) watchRuns(ctx context.Context) {
	watch := s.scheduler.Watch(0)
	defer watch.Close()
	missed := true
	var changes []scheduler.Change
	for ctx.Err() == nil {
		if missed {
			changes = append(changes, s.recentRuns(ctx)...)
		}
		for _, c := range changes {
			if c.Project == 0 {
				continue // the server that made the change wants it
			}
			if err := s.wantNotices(ctx, c.Project, c.Run); err != nil && ctx.Err() == nil && !errs.Is(err, errs.NotFound) {
				s.options.Log.Error("note what a run is to show at its forge", "run", c.Run, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case _, open := <-watch.Ready:
			if !open {
				return
			}
			changes, missed = watch.Take()
		}
	}
}

// caughtUp is how old the end of a run may be that is reported after a start.
const caughtUp = 12 * time.Hour

// recentRuns are the runs that are under way, and the newest.
func (s *Server) recentRuns(ctx context.Context) []scheduler.Change {
	var list []scheduler.Change
	open := []pipeline.Status{pipeline.StatusCreated, pipeline.StatusPending, pipeline.StatusRunning, pipeline.StatusManual}
	for _, f := range []store.RunFilter{{Limit: 200}, {Limit: 200, Statuses: open}} {
		runs, err := s.store.Runs(ctx, f)
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("read the newest runs", "error", err)
		}
		for _, r := range runs {
			if !r.Finished.IsZero() && s.options.Now().Sub(r.Finished) > caughtUp {
				continue
			}
			list = append(list, scheduler.Change{Run: r.ID, Project: r.Project, Version: r.Version})
		}
	}
	return list
}

// listeners says who wants to hear of a project's runs.
func (s *Server) listeners(ctx context.Context, project int64) (wantedNotices, error) {
	s.notices.mu.Lock()
	w, known := s.notices.wanted[project]
	s.notices.mu.Unlock()
	if known && time.Since(w.read) < wantedFor {
		return w, nil
	}
	w = wantedNotices{read: time.Now()}
	rows, err := s.store.NotifyRules(ctx, project)
	if err != nil {
		return w, err
	}
	for _, r := range rows {
		w.rules = append(w.rules, datedRule{notify.Rule{ID: r.ID, Name: r.Name, Kind: notify.RuleKind(r.Kind), Events: eventsOf(r.Events), Template: r.Template}, r.Created})
	}
	p, err := s.store.Project(ctx, project)
	if err != nil {
		return w, err
	}
	at, err := s.forgePlace(ctx, p)
	if w.status = err == nil && at.tokenVariable != ""; errs.Is(err, errs.NotFound) {
		err = nil
	}
	if err == nil {
		s.notices.mu.Lock()
		s.notices.wanted[project] = w
		s.notices.mu.Unlock()
	}
	return w, err
}

func eventsOf(names []string) []notify.Event {
	list := make([]notify.Event, len(names))
	for i, n := range names {
		list[i] = notify.Event(n)
	}
	return list
}

// wantNotices wants what a run's state is to show elsewhere. A child pipeline shows
// in its parent.
func (s *Server) wantNotices(ctx context.Context, project, id int64) error {
	to, err := s.listeners(ctx, project)
	if err != nil || !to.status && len(to.rules) == 0 {
		return err
	}
	r, err := s.store.Run(ctx, id)
	if err != nil || r.Parent != 0 {
		return err
	}
	n, facts, err := s.noticeRun(ctx, r)
	if err != nil {
		return err
	}
	messages, err := s.messages(n, to)
	if err != nil {
		return err
	}
	if to.status && n.MergeRequest != 0 {
		plans, err := s.planComments(ctx, r, n, facts)
		if err != nil {
			return err
		}
		messages = append(messages, plans...)
	}
	return s.want(ctx, messages)
}

// messages are the commit status of a run and what rules want of its state.
func (s *Server) messages(n notify.Run, to wantedNotices) ([]notify.Message, error) {
	now := s.options.Now()
	at := n.Finished
	if at.IsZero() {
		at = now
	}
	messages, err := notify.WantEvents(n, to.since(at), now)
	if err != nil || !to.status || n.Commit == "" {
		return messages, err
	}
	status, err := notify.WantStatus(n, now)
	return append(messages, status), err
}

func (s *Server) want(ctx context.Context, messages []notify.Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := s.notices.Store.Want(ctx, messages); err != nil {
		return err
	}
	wakeUp(s.notices.wake)
	return nil
}

// noticeRun is what messages say of a run.
func (s *Server) noticeRun(ctx context.Context, r store.Run) (notify.Run, definition.RunFacts, error) {
	n := notify.Run{
		ID: r.ID, Number: r.Number, ProjectID: r.Project, Status: string(r.Status), Source: string(r.Source), Commit: r.SHA, Actor: r.Actor,
		URL: s.runURL(r.ID), Started: r.Started, Finished: r.Finished,
	}
	if r.Result == pipeline.ResultWaiting {
		n.Status = string(pipeline.StatusManual)
	}
	names := s.newNames()
	wire, err := names.run(ctx, r)
	if err != nil {
		return n, definition.RunFacts{}, err
	}
	n.Project, n.Flow = wire.Project, wire.Flow
	facts, err := s.runFacts(ctx, r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return n, facts, err
	}
	switch f := facts.Facts; {
	case facts.Image != "":
		// The commit is only what the image says, so it gets no status at the forge.
		n.Commit, n.Ref = "", r.Ref
	case f.Tag != "":
		n.Ref = "refs/tags/" + f.Tag
	case f.Branch != "":
		n.Ref = "refs/heads/" + f.Branch
	}
	n.Title, _, _ = strings.Cut(facts.Facts.Message, "\n")
	n.MergeRequest = requestOf(r, facts)
	if err := s.noticeJobs(ctx, r, &n); err != nil {
		return n, facts, err
	}
	if r.Status == pipeline.StatusSuccess {
		n.Previous, err = s.previousStatus(ctx, r)
	}
	return n, facts, err
}

// requestOf is the number of the merge request that a run is for, 0 for none.
func requestOf(r store.Run, facts definition.RunFacts) (number int64) {
	for _, v := range facts.Variables {
		if v.Name == "CI_MERGE_REQUEST_IID" && r.Source == pipeline.TriggerMergeRequest {
			number, _ = strconv.ParseInt(v.Value, 10, 64) // the last one counts
		}
	}
	return number
}

// noticeJobs names the jobs that failed the run and those that wait for a person.
func (s *Server) noticeJobs(ctx context.Context, r store.Run, n *notify.Run) error {
	if n.Status != string(pipeline.StatusFailed) && n.Status != string(pipeline.StatusManual) {
		return nil
	}
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return err
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	if err != nil {
		return err
	}
	system := true
	for _, row := range rows {
		job := notify.Job{Name: p.Jobs[row.Pos].Name, URL: n.URL}
		switch {
		case row.AllowFailure:
		case row.Status == pipeline.StatusFailed:
			job.Reason = string(row.Reason)
			n.Failed = append(n.Failed, job)
			system = system && systemReason(row.Reason)
		case row.Status == pipeline.StatusManual:
			n.Waiting = append(n.Waiting, job)
		}
	}
	n.SystemError = len(n.Failed) > 0 && system
	return nil
}

// unsent are what a run was to show elsewhere and could not yet, and why.
func (s *Server) unsent(ctx context.Context, run int64) ([]string, error) {
	rows, err := s.store.Notifications(ctx, run)
	var list []string
	for _, n := range rows {
		if n.Error != "" {
			list = append(list, fmt.Sprintf("%s: %s", n.Kind, n.Error))
		}
	}
	return list, err
}

// systemReason reports whether a job failed for no fault of its code.
func systemReason(r pipeline.Reason) bool {
	return slices.Contains([]pipeline.Reason{
		pipeline.ReasonRunnerSystemFailure, pipeline.ReasonStuckOrTimeout, pipeline.ReasonAPIFailure, pipeline.ReasonDataIntegrity,
		pipeline.ReasonRunnerUnsupported, pipeline.ReasonImagePull,
	}, r)
}

// previousStatus is that of the last run of the same flow and ref that succeeded or
// failed.
func (s *Server) previousStatus(ctx context.Context, r store.Run) (string, error) {
	list, err := s.store.Runs(ctx, store.RunFilter{
		Project: r.Project, Flow: r.Flow, Ref: r.Ref, Before: r.ID, Limit: 50,
		Statuses: []pipeline.Status{pipeline.StatusSuccess, pipeline.StatusFailed},
	})
	request := func(x store.Run) bool { return x.Source == pipeline.TriggerMergeRequest }
	for _, old := range list {
		if old.Flow == r.Flow && old.Parent == 0 && request(old) == request(r) {
			return string(old.Status), err
		}
	}
	return "", err
}

// runURL is where a run is shown; "" if the server has no address for others.
func (s *Server) runURL(id int64) string {
	if s.options.PublicURL == nil {
		return ""
	}
	return strings.TrimSuffix(s.options.PublicURL.String(), "/") + "/runs/" + strconv.FormatInt(id, 10)
}

// wantApprovals says at the forge, and to those who want to hear it, that the code
// of other repositories waits for a person.
func (s *Server) wantApprovals(ctx context.Context, p store.Project, wanted []scheduler.Wanted) {
	for _, w := range wanted {
		if w.Approval {
			n := wantedRun(p, w)
			n.Status = string(pipeline.StatusManual)
			n.Waiting = []notify.Job{{Name: fmt.Sprintf("approval of merge request %d at %.12s", w.MergeRequest.Number, w.Commit)}}
			s.wantWithoutRun(ctx, n)
		}
	}
}

// wantFault says at the forge why the run of a push could not be made.
func (s *Server) wantFault(ctx context.Context, p store.Project, w scheduler.Wanted, fault error) {
	n := wantedRun(p, w)
	n.Status, n.SystemError = string(pipeline.StatusFailed), true
	first, _, _ := strings.Cut(fault.Error(), "\n")
	n.Failed = []notify.Job{{Name: first}}
	s.wantWithoutRun(ctx, n)
}

// wantedRun is what is known of a run that is not made.
func wantedRun(p store.Project, w scheduler.Wanted) notify.Run {
	n := notify.Run{ProjectID: p.ID, Project: p.Name, Source: string(w.Source), Commit: w.Commit, Actor: w.Actor.Login}
	if m := w.MergeRequest; m != nil {
		n.MergeRequest, n.Title = m.Number, m.Title
	} else {
		n.Ref = "refs/" + map[bool]string{true: "tags/", false: "heads/"}[w.Ref.Kind == "tag"] + w.Ref.Name
	}
	return n
}

func (s *Server) wantWithoutRun(ctx context.Context, n notify.Run) {
	to, err := s.listeners(ctx, n.ProjectID)
	var messages []notify.Message
	if err == nil {
		messages, err = s.messages(n, to)
	}
	if err == nil {
		err = s.want(ctx, messages)
	}
	if err != nil && ctx.Err() == nil {
		s.options.Log.Error("note what is to show at the forge", "project", n.Project, "error", err)
	}
}

// maxPlanEvents bounds the events of an attempt that are read for its plans.
const maxPlanEvents = 1000

// planComments are the plans that jobs of a merge request's run reported: one
// comment for each stack's job, edited in place.
func (s *Server) planComments(ctx context.Context, r store.Run, n notify.Run, facts definition.RunFacts) ([]notify.Message, error) {
	if facts.Trust.Fork {
		return nil, nil // code that the project does not know writes no comments in its name
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []notify.Message
	for _, row := range rows {
		if row.AttemptID == 0 || row.Status != pipeline.StatusSuccess && row.Status != pipeline.StatusFailed {
			continue
		}
		text, err := s.planText(ctx, row.AttemptID)
		if err != nil {
			return list, err
		}
		if text == "" {
			continue
		}
		m, err := notify.WantComment(n, "plan "+n.Flow+" "+p.Jobs[row.Pos].Name, text, s.options.Now())
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
	return list, nil
}

// planText is the markdown of the plans that an attempt reported, "" for none.
func (s *Server) planText(ctx context.Context, attempt int64) (string, error) {
	events, err := s.store.Events(ctx, attempt, 0, maxPlanEvents)
	var parts []string
	for _, e := range events {
		var report struct {
			Step pipeline.Step `json:"step"`
		}
		if json.Unmarshal([]byte(e.Body), &report) == nil && report.Step.Type == pipeline.StepPlan && report.Step.Text != "" {
			parts = append(parts, report.Step.Text)
		}
	}
	return strings.Join(parts, "\n\n"), err
}

// forgePlace is where the forge of a project is, and what it is asked with.
type forgePlace struct {
	kind          forge.Kind
	url, path     string
	tokenVariable string
}

// forgePlace finds it: as the project's webhook says, else by the host. NotFound if
// neither does.
func (s *Server) forgePlace(ctx context.Context, p store.Project) (forgePlace, error) {
	at := forgePlace{kind: forgeByHost(hostOf(p.URL)), tokenVariable: p.TokenVariable}
	triggers, err := s.store.Triggers(ctx, p.ID)
	if err != nil {
		return at, err
	}
	forgeURL := ""
	if len(triggers) > 0 {
		g := triggers[0]
		at.kind, forgeURL = forge.Kind(g.Forge), g.ForgeURL
		if g.TokenVariable != "" {
			at.tokenVariable = g.TokenVariable
		}
	}
	if at.kind == "" {
		return at, errs.E(errs.NotFound, "the forge of %s is not known by its host: say which it is: refline project hook %s --forge gitlab", p.URL, p.Name)
	}
	at.url, at.path = forgeAddress(at.kind, p.URL, forgeURL)
	return at, nil
}

// forgeOf opens the forge of a project, for [notify.Deliverer].
func (s *Server) forgeOf(ctx context.Context, project int64) (forge.Repository, error) {
	p, err := s.store.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	at, err := s.forgePlace(ctx, p)
	if err != nil {
		return nil, err
	}
	if at.tokenVariable == "" {
		return nil, errs.E(errs.NotFound, "project %s names no variable with a token for its forge: refline project set %s --token-variable NAME", p.Name, p.Name)
	}
	token, err := s.secrets.CheckoutVariable(ctx, p.ID, at.tokenVariable)
	if err != nil {
		return nil, err
	}
	return s.openForge(at.kind, at.url, at.path, token)
}
