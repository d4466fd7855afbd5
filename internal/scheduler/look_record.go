package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/store"
	"refline/internal/webhook"
)

// Looker looks at the refs of projects and makes the runs that follow. What a look
// decides is stored together with the refs that it saw: nothing is lost or done
// twice if the server ends between.
type Looker struct {
	Store *store.Store
	// Remote opens the repository of a project; end gives its credentials back.
	Remote func(context.Context, store.Project) (remote *git.Remote, end func(), err error)
	// Apply does in the transaction of the look what follows beside runs: flows of
	// deleted branches, environments, the project's path. It may be nil.
	Apply func(context.Context, *store.Tx, store.Project, LookResult) error
	// Launch makes a run; the same key makes it once. It returns nil without
	// a run if rules let no job in. NotFound means that the ref or commit is not there.
	Launch func(ctx context.Context, project store.Project, w Wanted, key string) error
	Now    func() time.Time
}

const (
	eventsPerLook = 500
	// unseenFor is how long an event waits for the repository to show what it
	// announced, looked at each unseenEvery.
	unseenFor   = 2 * time.Minute
	unseenEvery = 5 * time.Second
)

// Look looks at a project once. path is that at its forge; hooked says that a
// webhook reports its changes. A failure is recorded too and delays the next look.
func (l *Looker) Look(ctx context.Context, p store.Project, path string, hooked bool) (LookResult, error) {
	for range 3 {
		last, err := l.Store.LookOf(ctx, p.ID)
		if err != nil {
			return LookResult{}, err
		}
		result, err := l.lookOnce(ctx, p, path, hooked, last)
		switch {
		case err == nil:
			return result, nil
		case errs.Is(err, errs.Conflict): // another server was faster
			continue
		case ctx.Err() != nil:
			return LookResult{}, ctx.Err()
		}
		failed := last
		failed.Failures, failed.Error = last.Failures+1, err.Error()
		failed.Next = NextPoll(l.Now(), p.ID, p.PollEvery, hooked, failed.Failures)
		put := l.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutLook(ctx, failed) })
		if put != nil && !errs.Is(put, errs.Conflict) {
			return LookResult{}, put
		}
		return LookResult{}, fmt.Errorf("look at project %s: %w", p.Name, err)
	}
	return LookResult{}, errs.E(errs.Unavailable, "look at project %s: other servers look at it at the same time", p.Name)
}

func (l *Looker) lookOnce(ctx context.Context, p store.Project, path string, hooked bool, last store.Look) (LookResult, error) {
	in := LookInput{Path: path, First: last.Looked.IsZero()}
	deliveries, err := l.read(ctx, p.ID, &in)
	if err != nil {
		return LookResult{}, err
	}
	if err := l.list(ctx, p, &in); err != nil {
		return LookResult{}, err
	}
	result := DecideLook(in)
	if result.Vanished {
		return LookResult{}, errs.E(errs.Unavailable, "the repository lists no branches and tags, but had %d: nothing is decided from that", len(in.Refs))
	}
	ids, err := l.Store.NewIDs(ctx, "wanted", len(result.Wanted))
	if err != nil {
		return LookResult{}, err
	}
	now := l.Now()
	next := store.Look{Project: p.ID, Looked: now, Next: NextPoll(now, p.ID, p.PollEvery, hooked, 0), Version: last.Version}
	read := l.readBy(deliveries, result, now)
	if len(read) < len(deliveries) || len(deliveries) == eventsPerLook {
		next.Next = now.Add(unseenEvery)
	}
	err = l.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutLook(ctx, next); err != nil { // first: it locks and compares
			return err
		}
		if err := l.write(ctx, tx, p, result, ids, now); err != nil {
			return err
		}
		if l.Apply != nil {
			if err := l.Apply(ctx, tx, p, result); err != nil {
				return err
			}
		}
		if err := noteWanted(ctx, tx, in.Events, deliveries, result.Wanted, ids); err != nil {
			return err
		}
		return tx.MarkRead(ctx, read, now)
	})
	return result, err
}

// noteWanted notes at each delivery the runs that follow from it, for people.
func noteWanted(ctx context.Context, tx *store.Tx, events []webhook.Event, deliveries []store.Delivery, wanted []Wanted, ids []int64) error {
	for i, e := range events {
		var caused []int64
		for k, w := range wanted {
			if w.causedBy(e) {
				caused = append(caused, ids[k])
			}
		}
		if len(caused) == 0 {
			continue
		}
		if err := tx.NoteWanted(ctx, deliveries[i].ID, caused); err != nil {
			return err
		}
	}
	return nil
}

// causedBy reports whether an event is about what the run is for.
func (w Wanted) causedBy(e webhook.Event) bool {
	if m := w.MergeRequest; m != nil && e.MergeRequest != nil {
		return e.MergeRequest.Number == m.Number
	}
	full := fullRef(git.Resolved{Kind: w.Ref.Kind, Name: w.Ref.Name})
	if m := w.MergeRequest; m != nil {
		if m.Origin != webhook.OriginSame {
			return false
		}
		full = "refs/heads/" + m.Source
	}
	return slices.ContainsFunc(e.Changes, func(c webhook.RefChange) bool { return c.Ref == full })
}

// read collects what is stored.
func (l *Looker) read(ctx context.Context, project int64, in *LookInput) ([]store.Delivery, error) {
	var err error
	if in.Refs, err = l.Store.Refs(ctx, project); err != nil {
		return nil, err
	}
	open, err := l.Store.MergeRequests(ctx, project)
	if err != nil {
		return nil, err
	}
	for _, row := range open {
		var m webhook.MergeRequest
		if err := json.Unmarshal(row.Body, &m); err != nil {
			return nil, fmt.Errorf("merge request %d: %w", row.Number, err)
		}
		in.Open = append(in.Open, m)
	}
	deliveries, err := l.Store.WaitingDeliveries(ctx, project, eventsPerLook)
	if err != nil {
		return nil, err
	}
	for _, d := range deliveries {
		var e webhook.Event
		if err := json.Unmarshal(d.Event, &e); err != nil {
			return nil, fmt.Errorf("delivery %d: %w", d.ID, err)
		}
		in.Events = append(in.Events, e)
	}
	return deliveries, nil
}

func (l *Looker) list(ctx context.Context, p store.Project, in *LookInput) error {
	remote, end, err := l.Remote(ctx, p)
	if err != nil {
		return err
	}
	defer end()
	if in.Listed, err = remote.Refs(ctx); err != nil {
		return err
	}
	in.DefaultBranch, err = remote.DefaultBranch(ctx)
	if errs.Is(err, errs.NotFound) {
		err = nil // an empty repository
	}
	return err
}

// readBy are the deliveries that this look settles: all but those that announced
// something a moment ago that is not there yet.
func (l *Looker) readBy(deliveries []store.Delivery, r LookResult, now time.Time) []int64 {
	var ids []int64
	for i, d := range deliveries {
		if !slices.Contains(r.Unseen, i) || now.Sub(d.Received) > unseenFor {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func (l *Looker) write(ctx context.Context, tx *store.Tx, p store.Project, r LookResult, ids []int64, now time.Time) error {
	if err := tx.PutRefs(ctx, p.ID, r.SetRefs, now); err != nil {
		return err
	}
	var gone []string
	for _, d := range r.Deleted {
		gone = append(gone, d.Ref)
	}
	if err := tx.RemoveRefs(ctx, p.ID, gone); err != nil {
		return err
	}
	var open []store.MergeRequest
	for _, m := range r.SetOpen {
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		open = append(open, store.MergeRequest{Project: p.ID, Number: m.Number, Body: body, Updated: now})
	}
	if err := tx.PutMergeRequests(ctx, open); err != nil {
		return err
	}
	var closed []int64
	for _, m := range r.Closed {
		closed = append(closed, m.Number)
		if err := tx.VoidApprovals(ctx, p.ID, m.Number); err != nil {
			return err
		}
	}
	if err := tx.RemoveMergeRequests(ctx, p.ID, closed); err != nil {
		return err
	}
	return l.writeWanted(ctx, tx, p, r.Wanted, ids, now)
}

func (l *Looker) writeWanted(ctx context.Context, tx *store.Tx, p store.Project, wanted []Wanted, ids []int64, now time.Time) error {
	rows := make([]store.WantedRun, len(wanted))
	for i, w := range wanted {
		body, err := json.Marshal(w)
		if err != nil {
			return err
		}
		rows[i] = store.WantedRun{ID: ids[i], Project: p.ID, State: store.WantedWaiting, Body: body, Next: now, Created: now}
		if w.MergeRequest != nil {
			rows[i].Request = w.MergeRequest.Number
			if err := tx.VoidApprovals(ctx, p.ID, rows[i].Request); err != nil {
				return err
			}
		}
		if w.Approval {
			rows[i].State = store.WantedApproval
		}
	}
	return tx.PutWantedRuns(ctx, rows)
}
