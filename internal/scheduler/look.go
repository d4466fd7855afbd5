package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/webhook"
)

// A look compares the refs that a repository has now with those of the last look
// and decides which pipelines follow. Events are hints: only who pushed, push
// options and facts of merge requests come from them, so a lost event, or one
// that comes late or twice, changes nothing else.

// LookInput is what a look is decided from.
type LookInput struct {
	Path          string            // of the project at its forge, for CI_OPEN_MERGE_REQUESTS
	DefaultBranch string            // its pipeline comes first
	First         bool              // refs are learned; only those that an event names get pipelines
	Refs          map[string]string // of the last look: refs/heads/main → commit
	Listed        []git.Resolved    // branches and tags now
	// Open are the merge requests that were open after the last look. Head and
	// Target are those that a pipeline was decided for.
	Open       []webhook.MergeRequest
	Events     []webhook.Event // since the last look, oldest first
	FollowTags bool            // a moved tag gets a pipeline
}

// Wanted is a pipeline that follows from a look.
type Wanted struct {
	Source pipeline.Trigger
	Ref    git.Ref // of Bitbucket Cloud's pull requests, the source branch
	Commit string
	Before string // commit of the last look; "" for none: a new ref, a merge request
	Forced bool   // an event says so; without events only git knows
	// Skip says that the push has the option ci.skip: the run is made, as skipped.
	Skip bool
	// Approval says that the code comes from another repository: a person must
	// allow this very commit, and the run gets no secrets.
	Approval     bool
	MergeRequest *webhook.MergeRequest
	OpenRequests []string // path!number of those with this source branch, at most 4
	Actor        webhook.Actor
	Variables    map[string]string // of the push options ci.variable and ci.input
	Inputs       map[string]string
}

// RefMove is a ref that is gone (To is "") or a tag that moved.
type RefMove struct{ Ref, From, To string }

// LookResult says what follows from a look. The caller writes all of it in one
// transaction.
type LookResult struct {
	Wanted []Wanted
	// Suppressed are refs without a pipeline because their push changed too many.
	Suppressed []string
	Deleted    []RefMove // flows of a branch are archived, its environments stop
	MovedTags  []RefMove // flows that are pinned to them refuse

	SetRefs map[string]string      // to be stored; those of Deleted are removed
	SetOpen []webhook.MergeRequest // open merge requests to be stored
	Closed  []webhook.MergeRequest // no longer open; their environments stop
	Project webhook.Project        // path and default branch as events have them last
	Reruns  []webhook.RefChange    // a person asked for them again
	Unsaid  []string               // changed refs that no event announced
	// Unseen are the events (by index) that announced what the repository does not
	// show yet, as replicas do for a moment: keep them and look again.
	Unseen []int
	// Vanished says that a repository with refs lists none: more likely a fault
	// of the forge than a repository without branches, so nothing is decided.
	Vanished bool
}

// pipelinesPerPush is GitLab's limit. Changes that no event announces count as one
// push.
const pipelinesPerPush = 4

// DecideLook decides what follows from a look.
func DecideLook(in LookInput) LookResult {
	l := look{in: in, listed: map[string]git.Resolved{}, moved: map[string]refChange{}, open: map[int64]webhook.MergeRequest{}, wanted: map[int64]webhook.Actor{}}
	l.out.SetRefs = map[string]string{}
	for _, r := range in.Listed {
		l.listed[fullRef(r)] = r
	}
	if len(in.Listed) == 0 && len(in.Refs) > 0 {
		return LookResult{Vanished: true}
	}
	for _, m := range in.Open {
		l.open[m.Number] = m
	}
	l.readHints()
	l.compareRefs()
	l.readRequests()
	l.decidePushes()
	l.decideRequests()
	return l.out
}

// look is the state of DecideLook.
type look struct {
	in     LookInput
	out    LookResult
	listed map[string]git.Resolved
	hints  map[string][]hint
	moved  map[string]refChange
	open   map[int64]webhook.MergeRequest
	// wanted are merge requests that get a pipeline, with who caused it.
	wanted map[int64]webhook.Actor
}

// hint is what an event says of a ref.
type hint struct {
	event  int
	change webhook.RefChange
}

// refChange is a ref whose commit is another than at the last look.
type refChange struct {
	full   string
	now    git.Resolved
	before string
	hint   *hint
}

func fullRef(r git.Resolved) string {
	if r.Kind == git.KindTag {
		return "refs/tags/" + r.Name
	}
	return "refs/heads/" + r.Name
}

func (l *look) readHints() {
	l.hints = map[string][]hint{}
	for i, e := range l.in.Events {
		if e.Project.Path != "" {
			l.out.Project = webhook.Project{
				ID: e.Project.ID, Path: e.Project.Path, OldPath: e.Project.OldPath,
				DefaultBranch: cmp.Or(e.Project.DefaultBranch, l.out.Project.DefaultBranch),
			}
		}
		switch e.Kind {
		case webhook.KindRerun:
			l.out.Reruns = append(l.out.Reruns, e.Changes...)
		case webhook.KindPush:
			for _, c := range e.Changes {
				l.hints[c.Ref] = append(l.hints[c.Ref], hint{i, c})
			}
		}
	}
}

// hintFor returns the newest hint for a ref that names the value it has now, else
// the newest.
func (l *look) hintFor(full string, now git.Resolved) *hint {
	all := l.hints[full]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].names(now) {
			return &all[i]
		}
	}
	if len(all) > 0 {
		return &all[len(all)-1]
	}
	return nil
}

// names reports whether the hint has the value that the ref has now; a tag has
// two, its object and its commit.
func (h hint) names(now git.Resolved) bool {
	return h.change.After != "" && (h.change.After == now.Commit || h.change.After == now.Object) || h.change.Commit == now.Commit
}

func (l *look) compareRefs() {
	for full, now := range l.listed {
		before, known := l.in.Refs[full]
		if known && before == now.Commit {
			continue
		}
		l.out.SetRefs[full] = now.Commit
		h := l.hintFor(full, now)
		if l.in.First && h == nil {
			continue
		}
		l.moved[full] = refChange{full, now, before, h}
		if h == nil && l.pusherOf(now) == (webhook.Actor{}) {
			l.out.Unsaid = append(l.out.Unsaid, full)
		}
		if known && now.Kind == git.KindTag {
			l.out.MovedTags = append(l.out.MovedTags, RefMove{full, before, now.Commit})
		}
	}
	for full, before := range l.in.Refs {
		if _, there := l.listed[full]; !there {
			l.out.Deleted = append(l.out.Deleted, RefMove{full, before, ""})
		}
	}
	for full, all := range l.hints {
		now, there := l.listed[full]
		_, moved := l.moved[full]
		if last := all[len(all)-1]; !moved && !last.change.Deleted() && last.change.After != "" && (!there || !last.names(now)) {
			l.out.Unseen = append(l.out.Unseen, last.event)
		}
	}
	slices.Sort(l.out.Unseen)
	l.out.Unseen = slices.Compact(l.out.Unseen)
	slices.Sort(l.out.Unsaid)
	slices.SortFunc(l.out.MovedTags, compareMoves)
	slices.SortFunc(l.out.Deleted, compareMoves)
}

func compareMoves(a, b RefMove) int { return strings.Compare(a.Ref, b.Ref) }

// decidePushes wants the pipelines of branches and tags: of each push the first
// few, the default branch before other branches and those before tags.
func (l *look) decidePushes() {
	changes := slices.SortedFunc(maps.Values(l.moved), func(a, b refChange) int {
		return cmp.Or(cmp.Compare(l.rank(a), l.rank(b)), strings.Compare(a.full, b.full))
	})
	count := map[int]int{}
	for _, c := range changes {
		if c.now.Kind == git.KindTag && c.before != "" && !l.in.FollowTags {
			continue
		}
		push := -1
		if c.hint != nil {
			push = c.hint.event
		}
		if count[push]++; count[push] > pipelinesPerPush {
			l.out.Suppressed = append(l.out.Suppressed, c.full)
			continue
		}
		w := Wanted{Source: pipeline.TriggerPush, Ref: git.Ref{Kind: c.now.Kind, Name: c.now.Name}, Commit: c.now.Commit, Before: c.before}
		l.takeHint(&w, c.hint, c.now)
		if c.now.Kind == git.KindBranch {
			w.OpenRequests = l.openFrom(c.now.Name)
			w.Actor = cmp.Or(w.Actor, l.pusherOf(c.now))
		}
		l.out.Wanted = append(l.out.Wanted, w)
	}
}

// pusherOf is who pushed the commit of a branch, as the event of its merge request
// says; it may come before that of the push.
func (l *look) pusherOf(now git.Resolved) webhook.Actor {
	for _, e := range l.in.Events {
		if m := e.MergeRequest; m != nil && m.Action == webhook.ActionPushed && m.Source == now.Name && m.Origin == webhook.OriginSame && sameCommit(m.Head, now.Commit) {
			return e.Actor
		}
	}
	return webhook.Actor{}
}

func (l *look) rank(c refChange) int {
	switch {
	case c.now.Kind == git.KindTag:
		return 2
	case c.now.Name == l.in.DefaultBranch:
		return 0
	}
	return 1
}

// takeHint adds what only events know. Options are those of the push that made
// the commit; of another push only the actor is taken.
func (l *look) takeHint(w *Wanted, h *hint, now git.Resolved) {
	if h == nil {
		return
	}
	e := l.in.Events[h.event]
	w.Actor = cmp.Or(w.Actor, e.Actor)
	if h.names(now) {
		w.Forced = h.change.Forced
		w.Skip, w.Variables, w.Inputs = e.Push.Skip, e.Push.Variables, e.Push.Inputs
	}
}
