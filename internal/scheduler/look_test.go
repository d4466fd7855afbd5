package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"refline/internal/git"
	"refline/internal/webhook"
)

// sha is the commit with a name of one letter.
func sha(name string) string { return strings.Repeat(name, 40) }

// refs reads "main=a v1=b^c": branches, and tags with the object of an annotated
// one.
func listed(text string) []git.Resolved {
	var list []git.Resolved
	for field := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(field, "=")
		commit, object, annotated := strings.Cut(value, "^")
		r := git.Resolved{Kind: git.KindBranch, Name: name, Commit: sha(commit)}
		if tag, is := strings.CutPrefix(name, "tag:"); is {
			r.Kind, r.Name = git.KindTag, tag
		}
		if annotated {
			r.Object = sha(object)
		}
		list = append(list, r)
	}
	return list
}

func stored(text string) map[string]string {
	refs := map[string]string{}
	for _, r := range listed(text) {
		refs[fullRef(r)] = r.Commit
	}
	return refs
}

func push(ref, before, after string) webhook.Event {
	full := "refs/heads/" + ref
	if tag, is := strings.CutPrefix(ref, "tag:"); is {
		full = "refs/tags/" + tag
	}
	return webhook.Event{Kind: webhook.KindPush, Actor: webhook.Actor{Login: "ann"}, Project: webhook.Project{Path: "g/p"},
		Changes: []webhook.RefChange{{Ref: full, Before: sha(before), After: sha(after)}}}
}

func (e eventOptions) event(action webhook.Action, number int64, source, target, head string) webhook.Event {
	m := webhook.MergeRequest{Number: number, Action: action, Source: source, Target: target, Head: sha(head),
		Ref: fmt.Sprintf("refs/merge-requests/%d/head", number), Origin: webhook.OriginSame}
	if e.origin != "" {
		m.Origin = e.origin
	}
	if e.cloud {
		m.Ref, m.Head = "refs/heads/"+source, m.Head[:12]
	}
	m.Closed = e.closed
	return webhook.Event{Kind: webhook.KindMergeRequest, Actor: webhook.Actor{Login: "bob"}, MergeRequest: &m}
}

// gitlabPush is GitLab's second event of a push.
func (e eventOptions) gitlabPush() webhook.Event {
	event := e.event(webhook.ActionPushed, 3, "dev", "main", "b")
	event.Forge = webhook.GitLab
	return event
}

type eventOptions struct {
	origin webhook.Origin
	cloud  bool
	closed bool
}

func open(number int64, source, target, head string) webhook.MergeRequest {
	return *eventOptions{}.event(webhook.ActionOpened, number, source, target, head).MergeRequest
}

// lines is a result as text: what a reader of a table can check.
func lines(r LookResult) []string {
	var out []string
	for _, w := range r.Wanted {
		line := fmt.Sprintf("%s %s %s %.1s", w.Source, w.Ref.Kind, w.Ref.Name, w.Commit)
		if w.Before != "" {
			line += fmt.Sprintf(" before %.1s", w.Before)
		}
		if w.MergeRequest != nil {
			line += fmt.Sprintf(" !%d into %s", w.MergeRequest.Number, w.MergeRequest.Target)
		}
		for _, word := range []struct {
			text string
			is   bool
		}{{"skip", w.Skip}, {"approval", w.Approval}, {"forced", w.Forced}} {
			if word.is {
				line += " " + word.text
			}
		}
		if len(w.OpenRequests) > 0 {
			line += " open " + strings.Join(w.OpenRequests, ",")
		}
		if w.Actor.Login != "" {
			line += " by " + w.Actor.Login
		}
		for _, name := range slices.Sorted(maps.Keys(w.Variables)) {
			line += " " + name + "=" + w.Variables[name]
		}
		out = append(out, line)
	}
	for _, ref := range r.Suppressed {
		out = append(out, "suppressed "+ref)
	}
	for _, m := range r.Deleted {
		out = append(out, fmt.Sprintf("deleted %s at %.1s", m.Ref, m.From))
	}
	for _, m := range r.MovedTags {
		out = append(out, fmt.Sprintf("moved %s %.1s to %.1s", m.Ref, m.From, m.To))
	}
	for _, m := range r.Closed {
		out = append(out, fmt.Sprintf("closed !%d", m.Number))
	}
	for _, c := range r.Reruns {
		out = append(out, "rerun "+c.Ref)
	}
	for _, ref := range r.Unsaid {
		out = append(out, "unsaid "+ref)
	}
	for _, i := range r.Unseen {
		out = append(out, fmt.Sprintf("unseen %d", i))
	}
	if r.Vanished {
		out = append(out, "vanished")
	}
	return out
}

func TestDecideLook(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 8)
	for i := range 6 {
		many = append(many, "b"+strconv.Itoa(i)+"=a")
	}
	mr := eventOptions{}
	fork := eventOptions{origin: webhook.OriginFork}
	unknown := eventOptions{origin: webhook.OriginUnknown}
	cloud := eventOptions{cloud: true}
	closed := eventOptions{closed: true}
	several := webhook.Event{Kind: webhook.KindPush}
	for i := range 6 {
		several.Changes = append(several.Changes, webhook.RefChange{Ref: "refs/heads/b" + strconv.Itoa(i), After: sha("a")})
	}
	skipped := push("dev", "a", "b")
	skipped.Push = webhook.PushOptions{Skip: true, Variables: map[string]string{"DEPLOY": "no"}}
	announced := webhook.Event{Kind: webhook.KindPush, Name: "create", Changes: []webhook.RefChange{{Ref: "refs/heads/new"}}}
	rerun := webhook.Event{Kind: webhook.KindRerun, Changes: []webhook.RefChange{{Ref: "refs/heads/main", After: sha("a")}}}
	forced := push("main", "a", "b")
	forced.Changes[0].Forced = true

	for _, tc := range []struct {
		name   string
		in     LookInput
		before string
		now    string
		open   []webhook.MergeRequest
		events []webhook.Event
		want   []string
	}{
		{"nothing new", LookInput{}, "main=a", "main=a", nil, nil, nil},
		{"a duplicate or late event", LookInput{}, "main=b", "main=b", nil, []webhook.Event{push("main", "a", "b")}, nil},
		{"a push", LookInput{}, "main=a", "main=b", nil, []webhook.Event{push("main", "a", "b")}, []string{"push branch main b before a by ann"}},
		{"the payload lies about before", LookInput{}, "main=a", "main=b", nil, []webhook.Event{push("main", "f", "b")}, []string{"push branch main b before a by ann"}},
		{"a push that no event told", LookInput{}, "main=a", "main=b", nil, nil, []string{"push branch main b before a", "unsaid refs/heads/main"}},
		{"two pushes in one look", LookInput{}, "main=a", "main=c", nil, []webhook.Event{push("main", "a", "b"), push("main", "b", "c")}, []string{"push branch main c before a by ann"}},
		{"events in the wrong order", LookInput{}, "main=a", "main=c", nil, []webhook.Event{push("main", "b", "c"), push("main", "a", "b")}, []string{"push branch main c before a by ann"}},
		{"a new branch without commits", LookInput{}, "main=a", "main=a new=a", nil, []webhook.Event{push("new", "0", "a")}, []string{"push branch new a by ann"}},
		{"push and create of GitHub", LookInput{}, "main=a", "main=a new=a", nil, []webhook.Event{announced, push("new", "0", "a")}, []string{"push branch new a by ann"}},
		{"forced", LookInput{}, "main=a", "main=b", nil, []webhook.Event{forced}, []string{"push branch main b before a forced by ann"}},
		{"a deleted branch", LookInput{}, "main=a dev=b", "main=a", nil, []webhook.Event{push("dev", "b", "0")}, []string{"deleted refs/heads/dev at b"}},
		{"the forge is behind its event", LookInput{}, "main=a", "main=a", nil, []webhook.Event{push("main", "a", "b")}, []string{"unseen 0"}},
		{"the new branch is not there yet", LookInput{}, "main=a", "main=a", nil, []webhook.Event{push("new", "0", "b")}, []string{"unseen 0"}},
		{"all refs gone", LookInput{}, "main=a dev=b", "", nil, []webhook.Event{push("dev", "b", "0")}, []string{"vanished"}},
		{"an empty repository", LookInput{First: true}, "", "", nil, nil, nil},

		{"the first look learns", LookInput{First: true}, "", "main=a dev=b tag:v1=a", nil, nil, nil},
		{"the first look with an event", LookInput{First: true}, "", "main=a dev=b", nil, []webhook.Event{push("dev", "a", "b")}, []string{"push branch dev b by ann"}},

		{"a tag", LookInput{}, "main=a", "main=a tag:v1=a", nil, []webhook.Event{push("tag:v1", "0", "a")}, []string{"push tag v1 a by ann"}},
		{"an annotated tag", LookInput{}, "main=a", "main=a tag:v1=a^f", nil, []webhook.Event{push("tag:v1", "0", "f")}, []string{"push tag v1 a by ann"}},
		{"an annotated tag made again", LookInput{}, "main=a tag:v1=a", "main=a tag:v1=a^f", nil, []webhook.Event{push("tag:v1", "a", "f")}, nil},
		{"a moved tag", LookInput{}, "tag:v1=a", "tag:v1=b", nil, []webhook.Event{push("tag:v1", "0", "b")}, []string{"moved refs/tags/v1 a to b"}},
		{"a moved tag that is followed", LookInput{FollowTags: true}, "tag:v1=a", "tag:v1=b", nil, []webhook.Event{push("tag:v1", "0", "b")}, []string{"push tag v1 b before a by ann", "moved refs/tags/v1 a to b"}},

		{"a mass push", LookInput{DefaultBranch: "main"}, "main=b", "main=a " + strings.Join(many, " ") + " tag:v1=a", nil, nil, []string{
			"push branch main a before b", "push branch b0 a", "push branch b1 a", "push branch b2 a",
			"suppressed refs/heads/b3", "suppressed refs/heads/b4", "suppressed refs/heads/b5", "suppressed refs/tags/v1",
			"unsaid refs/heads/b0", "unsaid refs/heads/b1", "unsaid refs/heads/b2", "unsaid refs/heads/b3", "unsaid refs/heads/b4", "unsaid refs/heads/b5", "unsaid refs/heads/main", "unsaid refs/tags/v1"}},
		{"several refs in one delivery", LookInput{}, "x=a", "x=a " + strings.Join(many, " "), nil, []webhook.Event{several}, []string{
			"push branch b0 a", "push branch b1 a", "push branch b2 a", "push branch b3 a", "suppressed refs/heads/b4", "suppressed refs/heads/b5"}},
		{"six pushes", LookInput{}, "x=a", "x=a " + strings.Join(many, " "), nil,
			[]webhook.Event{push("b0", "0", "a"), push("b1", "0", "a"), push("b2", "0", "a"), push("b3", "0", "a"), push("b4", "0", "a"), push("b5", "0", "a")},
			[]string{"push branch b0 a by ann", "push branch b1 a by ann", "push branch b2 a by ann", "push branch b3 a by ann", "push branch b4 a by ann", "push branch b5 a by ann"}},

		{"push options", LookInput{}, "dev=a", "dev=b", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{skipped}, []string{
			"push branch dev b before a skip open g/p!3 by ann DEPLOY=no", "merge_request_event merge request 3 b !3 into main skip open g/p!3 by ann DEPLOY=no"}},
		{"options of an older push", LookInput{}, "dev=a", "dev=c", nil, []webhook.Event{skipped, push("dev", "b", "c")}, []string{"push branch dev c before a by ann"}},

		{"push to a branch with merge requests", LookInput{}, "dev=a main=a", "dev=b main=a", []webhook.MergeRequest{open(3, "dev", "main", "a"), open(4, "dev", "rel", "a"), open(5, "other", "main", "a")},
			[]webhook.Event{push("dev", "a", "b")}, []string{"push branch dev b before a open g/p!3,g/p!4 by ann",
				"merge_request_event merge request 3 b !3 into main open g/p!3,g/p!4 by ann", "merge_request_event merge request 4 b !4 into rel open g/p!3,g/p!4 by ann"}},
		{"push and its merge request event", LookInput{}, "dev=a", "dev=b", []webhook.MergeRequest{open(3, "dev", "main", "a")},
			[]webhook.Event{push("dev", "a", "b"), mr.event(webhook.ActionPushed, 3, "dev", "main", "b")}, []string{"push branch dev b before a open g/p!3 by ann", "merge_request_event merge request 3 b !3 into main open g/p!3 by bob"}},
		{"the merge request event before that of the push", LookInput{}, "dev=a", "dev=b", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionPushed, 3, "dev", "main", "b")},
			[]string{"push branch dev b before a open g/p!3 by bob", "merge_request_event merge request 3 b !3 into main open g/p!3 by bob"}},
		{"the merge request event after the look", LookInput{}, "dev=b", "dev=b", []webhook.MergeRequest{open(3, "dev", "main", "b")}, []webhook.Event{mr.event(webhook.ActionPushed, 3, "dev", "main", "b")}, nil},
		{"a push to the target", LookInput{}, "dev=a main=a", "dev=a main=b", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{push("main", "a", "b")}, []string{"push branch main b before a by ann"}},
		{"a fork has a branch of the same name", LookInput{}, "dev=a", "dev=b", []webhook.MergeRequest{*fork.event(webhook.ActionOpened, 3, "dev", "main", "a").MergeRequest}, []webhook.Event{push("dev", "a", "b")}, []string{"push branch dev b before a by ann"}},

		{"opened", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{mr.event(webhook.ActionOpened, 3, "dev", "main", "a")}, []string{"merge_request_event merge request 3 a !3 into main open g/p!3 by bob"}},
		{"opened, told twice", LookInput{}, "dev=a", "dev=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionOpened, 3, "dev", "main", "a")}, nil},
		{"opened with an older head", LookInput{}, "dev=b", "dev=b", nil, []webhook.Event{mr.event(webhook.ActionOpened, 3, "dev", "main", "a")}, []string{"merge_request_event merge request 3 b !3 into main open g/p!3 by bob"}},
		{"opened from a fork", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{fork.event(webhook.ActionOpened, 3, "dev", "main", "b")}, []string{"merge_request_event merge request 3 b !3 into main approval by bob"}},
		{"a fork pushes", LookInput{}, "dev=a", "dev=a", []webhook.MergeRequest{*fork.event(webhook.ActionOpened, 3, "dev", "main", "b").MergeRequest}, []webhook.Event{fork.event(webhook.ActionPushed, 3, "dev", "main", "c")}, []string{"merge_request_event merge request 3 c !3 into main approval by bob"}},
		{"unknown origin, but the branch is here", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{unknown.event(webhook.ActionOpened, 3, "dev", "main", "a")}, []string{"merge_request_event merge request 3 a !3 into main open g/p!3 by bob"}},
		{"unknown origin, another commit", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{unknown.event(webhook.ActionOpened, 3, "dev", "main", "b")}, []string{"merge_request_event merge request 3 b !3 into main approval by bob"}},
		{"on Bitbucket Cloud", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{cloud.event(webhook.ActionOpened, 3, "dev", "main", "a")}, []string{"merge_request_event branch dev a !3 into main open g/p!3 by bob"}},
		{"updated on Cloud: nothing for us", LookInput{}, "dev=a", "dev=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{cloud.event(webhook.ActionUnclear, 3, "dev", "main", "a")}, nil},
		{"updated on Cloud: another target", LookInput{}, "dev=a main=a", "dev=a main=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{cloud.event(webhook.ActionUnclear, 3, "dev", "rel", "a")}, []string{"merge_request_event branch dev a !3 into rel open g/p!3 by bob"}},
		{"retargeted", LookInput{}, "dev=a main=a", "dev=a main=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionRetargeted, 3, "dev", "rel", "a")}, []string{"merge_request_event merge request 3 a !3 into rel open g/p!3 by bob"}},
		{"retargeted without a word", LookInput{}, "dev=a main=a", "dev=a main=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionOther, 3, "dev", "rel", "a")}, []string{"merge_request_event merge request 3 a !3 into rel open g/p!3 by bob"}},
		{"retargeted by the forge", LookInput{}, "dev=a base=a", "dev=a", []webhook.MergeRequest{open(3, "dev", "base", "a")}, []webhook.Event{mr.event(webhook.ActionRetargeted, 3, "dev", "main", "a")}, []string{"deleted refs/heads/base at a"}},
		{"labels", LookInput{}, "dev=a main=a", "dev=a main=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionOther, 3, "dev", "main", "a")}, nil},
		{"labels of one not seen before", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{mr.event(webhook.ActionOther, 3, "dev", "main", "a")}, nil},
		{"labels of a closed one", LookInput{}, "dev=a", "dev=b", nil, []webhook.Event{closed.event(webhook.ActionOther, 3, "dev", "main", "a"), push("dev", "a", "b")}, []string{"push branch dev b before a by ann", "closed !3"}},
		{"reopened", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{mr.event(webhook.ActionReopened, 3, "dev", "main", "a")}, nil},
		{"closed", LookInput{}, "dev=a", "dev=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionClosed, 3, "dev", "main", "a")}, []string{"closed !3"}},
		{"merged, with the push to the target", LookInput{}, "dev=a main=a", "dev=a main=b", []webhook.MergeRequest{open(3, "dev", "main", "a")},
			[]webhook.Event{mr.event(webhook.ActionMerged, 3, "dev", "main", "a"), push("main", "a", "b")}, []string{"push branch main b before a by ann", "closed !3"}},
		{"opened and closed in one look", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{mr.event(webhook.ActionOpened, 3, "dev", "main", "a"), mr.event(webhook.ActionClosed, 3, "dev", "main", "a")}, []string{"closed !3"}},
		{"an update after it closed", LookInput{}, "dev=a", "dev=a", nil, []webhook.Event{mr.event(webhook.ActionClosed, 3, "dev", "main", "a"), mr.event(webhook.ActionPushed, 3, "dev", "main", "a")}, []string{"closed !3"}},
		{"closed and reopened in one look", LookInput{}, "dev=a", "dev=a", []webhook.MergeRequest{open(3, "dev", "main", "a")}, []webhook.Event{mr.event(webhook.ActionClosed, 3, "dev", "main", "a"), mr.event(webhook.ActionReopened, 3, "dev", "main", "a")}, nil},
		{"asked for again", LookInput{}, "main=a", "main=a", nil, []webhook.Event{rerun}, []string{"rerun refs/heads/main"}},
		{"tests and others", LookInput{}, "main=a", "main=a", nil, []webhook.Event{{Kind: webhook.KindTest, Changes: []webhook.RefChange{{Ref: "refs/heads/main", After: sha("f")}}}, {Kind: webhook.KindIgnored}}, nil},
	} {
		in := tc.in
		in.Path, in.Refs, in.Listed, in.Open, in.Events = "g/p", stored(tc.before), listed(tc.now), tc.open, tc.events
		got := DecideLook(in)
		if diff := gocmp.Diff(tc.want, lines(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if got.Vanished {
			continue
		}
		// Another look with what this one stores wants nothing.
		refs := maps.Clone(in.Refs)
		maps.Copy(refs, got.SetRefs)
		for _, m := range got.Deleted {
			delete(refs, m.Ref)
		}
		requests := slices.DeleteFunc(slices.Clone(in.Open), func(m webhook.MergeRequest) bool {
			return slices.ContainsFunc(append(got.Closed, got.SetOpen...), func(o webhook.MergeRequest) bool { return o.Number == m.Number })
		})
		again := DecideLook(LookInput{Path: in.Path, Refs: refs, Listed: in.Listed, Open: append(requests, got.SetOpen...)})
		if rest := lines(again); len(rest) > 0 {
			t.Errorf("%s: the next look finds %q", tc.name, rest)
		}
	}
}

func TestLookKnowsTheProject(t *testing.T) {
	t.Parallel()
	a, b := push("main", "a", "b"), push("main", "b", "c")
	a.Project = webhook.Project{ID: "5", Path: "g/p", DefaultBranch: "main"}
	b.Project = webhook.Project{ID: "5", Path: "g/q"}
	got := DecideLook(LookInput{Refs: stored("main=c"), Listed: listed("main=c"), Events: []webhook.Event{a, b}}).Project
	if want := (webhook.Project{ID: "5", Path: "g/q", DefaultBranch: "main"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSkipsCI(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		"fix [ci skip]": true, "[skip ci] fix": true, "a\n\n[CI-SKIP]": true, "[Skip_CI]": true, "[ci_skip]": true, "[skip-ci]": true,
		"": false, "ci skip": false, "[ci  skip]": false, "[skip]": false, "[ci skip": false, "[no ci]": false, "[ciskip]": false,
	} {
		if got := SkipsCI(message); got != want {
			t.Errorf("%q: %t", message, got)
		}
	}
}

func TestNextPoll(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_780_000_000, 0)
	for _, tc := range []struct {
		every    time.Duration
		hooked   bool
		failures int
		want     time.Duration
	}{
		{0, false, 0, time.Hour}, {5 * time.Minute, false, 0, 5 * time.Minute}, {5 * time.Minute, true, 0, time.Hour}, {time.Second, false, 0, time.Minute}, {2 * time.Hour, true, 0, 2 * time.Hour}, {0, true, 0, time.Hour},
		{0, false, 1, time.Minute}, {0, false, 2, 2 * time.Minute}, {0, true, 5, 16 * time.Minute}, {0, false, 6, 30 * time.Minute}, {time.Minute, false, 1000, 30 * time.Minute},
	} {
		var first time.Time
		apart := false
		for project := range int64(50) {
			got := NextPoll(now, project, tc.every, tc.hooked, tc.failures)
			if d := got.Sub(now); d < tc.want || d > tc.want+tc.want/10 {
				t.Errorf("%+v: in %s", tc, d)
			}
			apart = apart || project > 0 && !got.Equal(first)
			first = got
		}
		if !apart {
			t.Errorf("%+v: all projects at the same time", tc)
		}
	}
}
