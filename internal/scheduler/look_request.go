package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/webhook"
)

// maxOpenRequests is how many merge requests CI_OPEN_MERGE_REQUESTS has at most,
// as in GitLab.
const maxOpenRequests = 4

// readRequests takes over what events say of merge requests, and what pushes
// change in them.
func (l *look) readRequests() {
	for _, e := range l.in.Events {
		if e.Kind == webhook.KindMergeRequest && e.MergeRequest != nil {
			l.readRequest(*e.MergeRequest, e.Actor)
		}
	}
	// A push to a branch is one to its merge requests, with or without an event.
	for number, m := range l.open {
		c, pushed := l.moved["refs/heads/"+m.Source]
		if m.Origin != webhook.OriginSame || !pushed || sameCommit(m.Head, c.now.Commit) {
			continue
		}
		m.Previous, m.Head = m.Head, c.now.Commit
		l.open[number] = m
		l.want(number, webhook.Actor{})
		l.store(number)
	}
}

func (l *look) readRequest(m webhook.MergeRequest, actor webhook.Actor) {
	old, known := l.open[m.Number]
	if m.Closed || m.Action == webhook.ActionClosed || m.Action == webhook.ActionMerged {
		l.out.Closed = append(l.out.Closed, m)
		delete(l.open, m.Number)
		delete(l.wanted, m.Number)
		l.out.SetOpen = slices.DeleteFunc(l.out.SetOpen, func(o webhook.MergeRequest) bool { return o.Number == m.Number })
		return
	}
	l.locate(&m)
	if m.Head == "" {
		m.Head = old.Head
	}
	pushed := !known || !sameCommit(old.Head, m.Head)
	retargeted := !known || old.Target != m.Target && !l.targetGone(old.Target)
	var want bool
	switch m.Action {
	case webhook.ActionOpened, webhook.ActionUnclear:
		want = pushed || retargeted
	case webhook.ActionPushed:
		want = pushed
	case webhook.ActionRetargeted:
		want = retargeted
	case webhook.ActionReopened:
	case webhook.ActionOther: // a push whose own event was lost or comes later
		want = known && (pushed || retargeted)
	}
	if !l.closedAfter(m) {
		l.open[m.Number] = m
		l.store(m.Number)
		if want {
			l.want(m.Number, actor)
		}
	}
}

// closedAfter reports whether an event that closed the merge request was read
// already in this look and this one does not open it again: it is late.
func (l *look) closedAfter(m webhook.MergeRequest) bool {
	if m.Action == webhook.ActionReopened || m.Action == webhook.ActionOpened {
		l.out.Closed = slices.DeleteFunc(l.out.Closed, func(o webhook.MergeRequest) bool { return o.Number == m.Number })
		return false
	}
	return slices.ContainsFunc(l.out.Closed, func(o webhook.MergeRequest) bool { return o.Number == m.Number })
}

// locate compares a merge request with the branches: the head of one from this
// repository is where its branch is. One of unknown origin whose commit
// is not at that branch is treated as a fork's.
func (l *look) locate(m *webhook.MergeRequest) {
	branch, there := l.listed["refs/heads/"+m.Source]
	switch {
	case m.Origin == webhook.OriginUnknown && there && sameCommit(branch.Commit, m.Head):
		m.Origin = webhook.OriginSame
	case m.Origin == webhook.OriginUnknown:
		m.Origin = webhook.OriginFork
	}
	if m.Origin == webhook.OriginSame && there {
		m.Head = branch.Commit
	}
}

// targetGone reports whether a branch is deleted: then the forge chose another
// target for the merge request, not a person.
func (l *look) targetGone(branch string) bool {
	_, there := l.listed["refs/heads/"+branch]
	return !there
}

func (l *look) want(number int64, actor webhook.Actor) {
	l.wanted[number] = cmp.Or(actor, l.wanted[number])
}

// store notes the merge request to be stored, once.
func (l *look) store(number int64) {
	m := l.open[number]
	for i := range l.out.SetOpen {
		if l.out.SetOpen[i].Number == number {
			l.out.SetOpen[i] = m
			return
		}
	}
	l.out.SetOpen = append(l.out.SetOpen, m)
}

// decideRequests wants the pipelines of merge requests, in the order of their
// numbers.
func (l *look) decideRequests() {
	for _, number := range slices.Sorted(maps.Keys(l.wanted)) {
		m, open := l.open[number]
		if !open || m.Head == "" {
			continue
		}
		w := Wanted{
			Source: pipeline.TriggerMergeRequest, Ref: requestRef(m), Commit: m.Head, Approval: m.Origin != webhook.OriginSame,
			MergeRequest: &m, Actor: l.wanted[number],
		}
		if m.Origin == webhook.OriginSame {
			w.OpenRequests = l.openFrom(m.Source)
			if c, pushed := l.moved["refs/heads/"+m.Source]; pushed {
				l.takeHint(&w, c.hint, c.now)
			}
		}
		l.out.Wanted = append(l.out.Wanted, w)
	}
	slices.SortFunc(l.out.SetOpen, func(a, b webhook.MergeRequest) int { return cmp.Compare(a.Number, b.Number) })
}

// requestRef is where the forge keeps the head of a merge request.
func requestRef(m webhook.MergeRequest) git.Ref {
	if branch, is := strings.CutPrefix(m.Ref, "refs/heads/"); is { // Bitbucket Cloud
		return git.Ref{Kind: git.KindBranch, Name: branch}
	}
	return git.Ref{Kind: git.KindMergeRequest, Name: strconv.FormatInt(m.Number, 10)}
}

// openFrom lists the open merge requests from a branch of this repository.
func (l *look) openFrom(branch string) []string {
	var list []string
	for _, number := range slices.Sorted(maps.Keys(l.open)) {
		m := l.open[number]
		if m.Source == branch && m.Origin == webhook.OriginSame && len(list) < maxOpenRequests {
			list = append(list, fmt.Sprintf("%s!%d", l.in.Path, number))
		}
	}
	return list
}

// sameCommit compares commits; Bitbucket Cloud gives only the first 12 characters.
func sameCommit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == b || len(a) >= 12 && strings.HasPrefix(b, a)
}
