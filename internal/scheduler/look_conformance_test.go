package scheduler

import (
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/webhook"
)

// TestPublishedActions looks after each published delivery, at a repository as it
// was before and is after it, and compares with what the index says must follow.
func TestPublishedActions(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("REFLINE_CONFORMANCE")
	if folder == "" {
		t.Skip("REFLINE_CONFORMANCE is not set: it names the folder of published cases")
	}
	folder = filepath.Join(folder, "webhooks")
	index, err := os.ReadFile(filepath.Join(folder, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(index)), "\n")
	columns := strings.Split(rows[0], "\t")
	checked := 0
	for _, line := range rows[1:] {
		row := map[string]string{}
		for i, value := range strings.Split(line, "\t") {
			row[columns[i]] = value
		}
		e, err := webhook.Read(webhook.Forge(row["forge"]), published(t, filepath.Join(folder, row["file"])))
		if err != nil {
			t.Errorf("%s: %v", row["file"], err)
			continue
		}
		r := DecideLook(before(e, row["action"]))
		if got, want := follows(r), expected(e, row); got != want {
			t.Errorf("%s: %s, want %s (%s)", row["file"], got, want, row["action"])
		}
		checked++
	}
	if checked < 100 {
		t.Errorf("%d rows", checked)
	}
}

func published(t *testing.T, path string) webhook.Delivery {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".headers")
	if err != nil {
		t.Fatal(err)
	}
	d := webhook.Delivery{Header: textproto.MIMEHeader{}, Body: body}
	for line := range strings.Lines(string(head)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			d.Header.Add(name, value)
		}
	}
	return d
}

// before is a look at the repository of an event: what was stored before it, and
// what git lists after it.
func before(e webhook.Event, action string) LookInput {
	in := LookInput{Path: e.Project.Path, Refs: map[string]string{"refs/heads/trunk": sha("1")}, Listed: listed("trunk=1"), Events: []webhook.Event{e}}
	if e.Kind == webhook.KindPush {
		for _, c := range e.Changes {
			ref := git.Resolved{Kind: git.KindBranch, Name: strings.TrimPrefix(c.Ref, "refs/heads/"), Commit: c.After}
			if tag, is := strings.CutPrefix(c.Ref, "refs/tags/"); is {
				ref.Kind, ref.Name = git.KindTag, tag
			}
			if ref.Kind == git.KindTag && c.Commit != "" && c.Commit != c.After {
				ref.Commit, ref.Object = c.Commit, c.After
			}
			if !c.Created() && c.Before != "" {
				in.Refs[c.Ref] = c.Before
			}
			if !c.Deleted() && c.After != "" {
				in.Listed = append(in.Listed, ref)
			} else if c.Deleted() {
				in.Refs[c.Ref] = sha("2")
			}
		}
	}
	m := e.MergeRequest
	if m == nil {
		return in
	}
	if m.Origin != webhook.OriginFork && m.Head != "" {
		in.Listed = append(in.Listed, git.Resolved{Kind: git.KindBranch, Name: m.Source, Commit: m.Head})
		in.Refs["refs/heads/"+m.Source] = m.Head
	}
	for _, branch := range []string{m.Target, "a-former-target"} { // all targets are there
		if _, there := in.Refs["refs/heads/"+branch]; !there {
			in.Listed = append(in.Listed, git.Resolved{Kind: git.KindBranch, Name: branch, Commit: sha("1")})
			in.Refs["refs/heads/"+branch] = sha("1")
		}
	}
	stored := *m
	switch {
	case m.Action == webhook.ActionOpened:
		return in
	case strings.Contains(action, "stored source commit differs"), m.Action == webhook.ActionPushed:
		stored.Head = sha("3")
	case strings.Contains(action, "stored target branch differs"), m.Action == webhook.ActionRetargeted:
		stored.Target = "a-former-target"
	}
	in.Open = []webhook.MergeRequest{stored}
	return in
}

func follows(r LookResult) string {
	if len(r.Wanted) == 0 {
		return "none"
	}
	switch w := r.Wanted[0]; {
	case len(r.Wanted) > 1:
		return "several"
	case w.Approval:
		return "approval"
	case w.Source == pipeline.TriggerMergeRequest:
		return "merge request"
	default:
		return string(w.Ref.Kind)
	}
}

// expected reads the index's word for what must follow.
func expected(e webhook.Event, row map[string]string) string {
	action := row["action"]
	if e.Name == "create" && len(e.Changes) > 0 && e.Changes[0].After != "" {
		// The look finds the ref whichever event comes first, and the other one
		// finds nothing new.
		return map[string]string{"branch_created_event": "branch", "tag_created_event": "tag"}[row["kind"]]
	}
	if strings.HasPrefix(action, "merge request pipeline") && row["fork"] == "true" {
		return "approval"
	}
	for prefix, what := range map[string]string{
		"branch pipeline": "branch", "tag pipeline only with follow-tag": "none", "tag pipeline": "tag", "approval,": "approval",
		"merge request pipeline": "merge request", "later: run checks on head_sha": "branch", // by the queue's branch
		"no pipeline unless the project reads from that mirror": "branch", // here it does
	} {
		if strings.HasPrefix(action, prefix) && !(prefix == "tag pipeline" && strings.HasPrefix(action, "tag pipeline only")) {
			return what
		}
	}
	return "none"
}
