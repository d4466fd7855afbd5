package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
)

func delivery(body string, headers ...string) Delivery {
	d := Delivery{Header: textproto.MIMEHeader{}, Body: []byte(body)}
	for i := 0; i < len(headers); i += 2 {
		d.Header.Add(headers[i], headers[i+1])
	}
	return d
}

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// summary is an event in one line.
func summary(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Kind, e.Project.Path)
	if e.Project.OldPath != "" {
		b.WriteString(" was " + e.Project.OldPath)
	}
	for _, c := range e.Changes {
		fmt.Fprintf(&b, "; %s %.3s..%.3s commit %.3s", c.Ref, c.Before, c.After, c.Commit)
	}
	if m := e.MergeRequest; m != nil {
		fmt.Fprintf(&b, "; !%d %s %s %.3s %s->%s %s", m.Number, m.Action, m.Ref, m.Head, m.Source, m.Target, m.Origin)
		if m.Draft {
			b.WriteString(" draft")
		}
	}
	if e.Comment != nil {
		fmt.Fprintf(&b, "; comment %q %t", e.Comment.Body, e.Comment.Created)
	}
	if e.Push.Skip || e.Push.Variables != nil || e.Push.Inputs != nil {
		fmt.Fprintf(&b, "; options %v %v %v", e.Push.Skip, e.Push.Variables, e.Push.Inputs)
	}
	return b.String()
}

func TestReadTraps(t *testing.T) {
	t.Parallel()
	const project = `"project":{"id":5,"path_with_namespace":"g/p","default_branch":"main"}`
	for _, tc := range []struct {
		name        string
		forge       Forge
		event, body string
		want        string
	}{
		{"push options", GitLab, "Push Hook", `{"object_kind":"push","ref":"refs/heads/x","before":"` + commitA + `","after":"` + commitB + `","checkout_sha":"` + commitB + `",` + project +
			`,"push_options":{"ci":{"skip":true,"variable":{"A=b=c":1,"broken":1},"input":"n=1"},"merge_request":{"create":true}}}`,
			`push g/p; refs/heads/x aaa..bbb commit bbb; options true map[A:b=c] map[n:1]`},
		{"push options of an odd shape", GitLab, "Push Hook", `{"object_kind":"push","ref":"refs/heads/x","push_options":{"ci":[1]},` + project + `}`, `push g/p; refs/heads/x .. commit `},
		{"more refs than hooks get", GitLab, "System Hook", `{"event_name":"repository_update","project_id":5,` + project + `,"changes":[{"before":"` + zeros + `","after":"` + commitA + `","ref":"refs/heads/a"},{"before":"` + commitA + `","after":"` + commitB + `","ref":"refs/tags/t"},7]}`,
			`push g/p; refs/heads/a 000..aaa commit aaa; refs/tags/t aaa..bbb commit `},
		{"renamed", GitLab, "System Hook", `{"event_name":"project_rename","project_id":5,"path_with_namespace":"g/new","old_path_with_namespace":"g/old"}`, `repository g/new was g/old`},
		{"retargeted", GitLab, "Merge Request Hook", `{"object_kind":"merge_request",` + project + `,"object_attributes":{"iid":7,"action":"update","source_project_id":5,"target_project_id":5,"source_branch":"s","target_branch":"rel","last_commit":{"id":"` + commitA + `"}},"changes":{"target_branch":{"previous":"main","current":"rel"}}}`,
			`merge_request g/p; !7 retargeted refs/merge-requests/7/head aaa s->rel same`},
		{"fork gone", GitLab, "Merge Request Hook", `{"object_kind":"merge_request",` + project + `,"object_attributes":{"iid":7,"action":"open","source_project_id":null,"target_project_id":5,"source":null,"source_branch":"s","target_branch":"main","last_commit":{"id":"` + commitA + `"}}}`,
			`merge_request g/p; !7 opened refs/merge-requests/7/head aaa s->main fork`},
		{"closed in an old form", GitLab, "System Hook", `{"object_kind":"merge_request",` + project + `,"object_attributes":{"iid":7,"state":"merged","source_project_id":5,"target_project_id":5}}`,
			`merge_request g/p; !7 merged refs/merge-requests/7/head  -> same`},
		{"an edited note", GitLab, "Note Hook", `{"object_kind":"note",` + project + `,"object_attributes":{"id":1,"note":"/run","noteable_type":"MergeRequest","action":"update"},"merge_request":{"iid":7,"source_project_id":5,"target_project_id":5}}`,
			`comment g/p; !7 other refs/merge-requests/7/head  -> same; comment "/run" false`},
		{"a note of the system", GitLab, "Note Hook", `{"object_kind":"note",` + project + `,"object_attributes":{"id":1,"note":"added 1 commit","noteable_type":"MergeRequest","system":true},"merge_request":{"iid":7,"source_project_id":5,"target_project_id":5}}`,
			`comment g/p; !7 other refs/merge-requests/7/head  -> same; comment "added 1 commit" false`},
		{"a note on an issue", GitLab, "Note Hook", `{"object_kind":"note",` + project + `,"object_attributes":{"note":"x","noteable_type":"Issue"}}`, `ignored g/p`},
		{"not subscribed", GitLab, "Pipeline Hook", `{"object_kind":"pipeline",` + project + `}`, `ignored g/p`},

		{"fork gone", GitHub, "pull_request", `{"action":"opened","number":3,"pull_request":{"number":3,"head":{"ref":"s","sha":"` + commitA + `","repo":null},"base":{"ref":"main","repo":{"id":1,"full_name":"o/r"}}},"repository":{"id":1,"full_name":"o/r"}}`,
			`merge_request o/r; !3 opened refs/pull/3/head aaa s->main fork`},
		{"retargeted", GitHub, "pull_request", `{"action":"edited","number":3,"changes":{"base":{"ref":{"from":"main"}}},"pull_request":{"number":3,"head":{"ref":"s","sha":"` + commitA + `","repo":{"id":1}},"base":{"ref":"rel","repo":{"id":1}}},"repository":{"id":1,"full_name":"o/r"}}`,
			`merge_request o/r; !3 retargeted refs/pull/3/head aaa s->rel same`},
		{"renamed", GitHub, "repository", `{"action":"renamed","changes":{"repository":{"name":{"from":"old"}}},"repository":{"id":1,"full_name":"o/r"}}`, `repository o/r was o/old`},
		{"a comment edited", GitHub, "issue_comment", `{"action":"edited","issue":{"number":3,"pull_request":{}},"comment":{"id":1,"body":"/run"},"repository":{"full_name":"o/r"}}`,
			`comment o/r; !3 other refs/pull/3/head  -> unknown; comment "/run" false`},
		{"a note ref", GitHub, "push", `{"ref":"refs/notes/commits","before":"` + zeros + `","after":"` + commitA + `","repository":{"full_name":"o/r"}}`, `push o/r`},
		{"stars", GitHub, "star", `{"action":"created","repository":{"full_name":"o/r"}}`, `ignored o/r`},

		{"retargeted", Gitea, "pull_request", `{"action":"edited","number":3,"changes":{"ref":{"from":"main"}},"pull_request":{"number":3,"title":"wip: x","head":{"ref":"s","sha":"` + commitA + `","repo_id":2},"base":{"ref":"rel","repo_id":1}},"repository":{"id":1,"full_name":"o/r"}}`,
			`merge_request o/r; !3 retargeted refs/pull/3/head aaa s->rel fork draft`},
		{"a comment with its head", Forgejo, "issue_comment", `{"action":"created","is_pull":true,"issue":{"number":3},"comment":{"id":1,"body":"/run"},"pull_request":{"number":3,"head":{"ref":"s","sha":"` + commitA + `","repo_id":1},"base":{"ref":"m","repo_id":1}},"repository":{"full_name":"o/r"}}`,
			`comment o/r; !3 other refs/pull/3/head aaa s->m same; comment "/run" true`},

		{"several refs", Bitbucket, "repo:push", `{"repository":{"full_name":"w/r","uuid":"{u}"},"push":{"changes":[{"old":null,"new":{"type":"branch","name":"a","target":{"hash":"` + commitA + `"}}},{"old":{"type":"tag","name":"t","target":{"hash":"` + commitB + `"}},"new":null},{"old":null,"new":null},{"new":{"type":"bookmark","name":"x"}}]}}`,
			`push w/r; refs/heads/a 000..aaa commit aaa; refs/tags/t bbb..000 commit `},
		{"fork gone", Bitbucket, "pullrequest:created", `{"repository":{"full_name":"w/r","uuid":"{u}"},"pullrequest":{"id":3,"source":{"branch":{"name":"s"},"commit":{"hash":"aaaaaaaaaaaa"},"repository":null},"destination":{"branch":{"name":"main"},"repository":{"uuid":"{u}"}}}}`,
			`merge_request w/r; !3 opened refs/heads/s aaa s->main fork`},
		{"merged", Bitbucket, "pullrequest:fulfilled", `{"repository":{"full_name":"w/r","uuid":"{u}"},"pullrequest":{"id":3,"source":{"branch":{"name":"s"},"repository":{"uuid":"{u}"}},"destination":{"branch":{"name":"main"},"repository":{"uuid":"{u}"}}}}`,
			`merge_request w/r; !3 merged refs/heads/s  s->main same`},
		{"zeros", BitbucketDC, "repo:refs_changed", `{"repository":{"slug":"r","id":1,"project":{"key":"P"}},"changes":[{"refId":"refs/heads/a","type":"ADD","fromHash":"","toHash":"` + commitA + `"},{"refId":"refs/heads/b","type":"DELETE","fromHash":"` + commitA + `","toHash":""}]}`,
			`push P/r; refs/heads/a 000..aaa commit aaa; refs/heads/b aaa..000 commit `},
		{"renamed", BitbucketDC, "repo:modified", `{"old":{"slug":"r","id":1,"project":{"key":"P"}},"new":{"slug":"s","id":1,"project":{"key":"P"}}}`, `repository P/s was P/r`},
	} {
		e, err := Read(tc.forge, delivery(tc.body, headersOf(tc.forge).event[0], tc.event))
		if err != nil {
			t.Errorf("%s: %s: %v", tc.forge, tc.name, err)
		} else if got := summary(e); got != tc.want {
			t.Errorf("%s: %s:\n got %s\nwant %s", tc.forge, tc.name, got, tc.want)
		}
	}
}

func TestBadDeliveries(t *testing.T) {
	t.Parallel()
	form := "payload=" + url.QueryEscape(`{"zen":"x","repository":{"full_name":"o/r"}}`)
	const formType = "application/x-www-form-urlencoded; charset=utf-8"
	for _, tc := range []struct {
		name  string
		forge Forge
		d     Delivery
		want  string // in the error; "" for none
	}{
		{"a form that GitHub signs", GitHub, delivery(form, "X-GitHub-Event", "ping", "Content-Type", formType), ""},
		{"a form without payload", GitHub, delivery("a=b", "X-GitHub-Event", "ping", "Content-Type", formType), "set the content type of the webhook to application/json"},
		{"a form of Gitea", Gitea, delivery(form, "X-Gitea-Event", "push", "Content-Type", formType), "set the content type of the webhook to application/json"},
		{"no body", Gitea, delivery("", "X-Gitea-Event", "push"), "set the method of the webhook to POST"},
		{"not JSON", GitLab, delivery("{", "X-Gitlab-Event", "Push Hook"), "not JSON: unexpected end of JSON input at byte 1"},
		{"a list", GitLab, delivery("[]", "X-Gitlab-Event", "Push Hook"), "not as the forge documents it"},
		{"another type", GitHub, delivery(`{"repository":{"full_name":7}}`, "X-GitHub-Event", "push"), "repository.full_name is a number"},
		{"not UTF-8", GitHub, delivery("{\"ref\":\"refs/heads/\xff\"}", "X-GitHub-Event", "push"), "not UTF-8"},
		{"a mark before it", GitHub, delivery("\ufeff{}", "X-GitHub-Event", "push"), ""},
		{"too large", GitHub, delivery(strings.Repeat(" ", MaxBody+1), "X-GitHub-Event", "push"), "push fewer commits at once"},
		{"no event", GitHub, delivery("{}"), "no header X-Github-Event"},
		{"two events", GitHub, delivery("{}", "X-GitHub-Event", "push", "X-GitHub-Event", "ping"), "more than one header"},
		{"of another forge", GitLab, delivery("{}", "X-GitHub-Event", "push"), "expects deliveries of gitlab, but this one is of github"},
		{"of Gitea", GitLab, delivery("{}", "X-GitHub-Event", "push", "X-Gitea-Event", "push"), "expects deliveries of gitlab, but this one is of gitea"},
		{"an unknown forge", "sourcehut", delivery("{}"), "unknown forge"},
	} {
		e, err := Read(tc.forge, tc.d)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		case tc.want != "" && e.Kind != "":
			t.Errorf("%s: an event beside the error: %v", tc.name, e)
		}
	}
	big := delivery(strings.Repeat(" ", MaxBody+1), "X-Hub-Signature-256", "sha256=")
	if _, err := Verify(GitHub, big, [][]byte{[]byte("secret-1")}, time.Time{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a large body is verified: %v", err)
	}
}

func TestTextsAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 20_000)
	labels := strings.Repeat(`{"name":"`+long+`"},`, 150)
	body := `{"action":"opened","number":3,"sender":{"login":"` + long + `"},"repository":{"full_name":"` + long + `"},"pull_request":{"number":3,"title":"` + long + `","body":"` + long +
		`","labels":[` + strings.TrimSuffix(labels, ",") + `],"head":{"ref":"` + long + `","sha":"` + long + `"},"base":{"ref":"main"}}}`
	e, err := Read(GitHub, delivery(body, "X-GitHub-Event", "pull_request", "X-GitHub-Delivery", long))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(e)
	if err != nil || len(text) > 120_000 {
		t.Errorf("the event has %d bytes, %v", len(text), err)
	}
	if e.MergeRequest.Head != "" || !strings.HasPrefix(e.Delivery, "sha256:") {
		t.Errorf("head %q, delivery %q", e.MergeRequest.Head, e.Delivery)
	}
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for _, f := range Forges() {
		if err := CheckSecret(f, []byte(NewSecret())); err != nil {
			t.Errorf("%s: a new secret: %v", f, err)
		}
	}
	for secret, want := range map[string]string{
		"whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=": "", "whsec_***": "signing key", "whsec_AQID": "signing key",
		"short": "8 characters", "long enough\n": "pasted", " long enough": "pasted", "long\x00enough": "pasted",
	} {
		err := CheckSecret(GitLab, []byte(secret))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%q: %v, want %q", secret, err, want)
		}
	}
}

func TestSignedMessagesVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_780_000_000, 0)
	key := "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
	d := delivery(`{"a":1}`)
	for name, value := range Sign([]byte(key), "msg_1", now, d.Body) {
		d.Header.Set(name, value)
	}
	if proof, err := Verify(GitLab, d, [][]byte{[]byte("old-token"), []byte(key)}, now); err != nil || proof != Signed {
		t.Errorf("proof %d, %v", proof, err)
	}
	d.Header = textproto.MIMEHeader{}
	d.Header.Set("X-Gitlab-Token", "old-token")
	if _, err := Verify(GitLab, d, [][]byte{[]byte("old-token"), []byte(key)}, now); !errs.Is(err, errs.Denied) {
		t.Errorf("the token alone passes beside a signing key: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	if folder := os.Getenv("REFLINE_CONFORMANCE"); folder != "" {
		for i, forge := range Forges() {
			files, _ := filepath.Glob(filepath.Join(folder, "webhooks", string(forge), "*.json"))
			for _, file := range files {
				d := readDelivery(f, file)
				f.Add(uint8(i), d.Header.Get(headersOf(forge).event[0]), d.Body)
			}
		}
	}
	f.Add(uint8(0), "Push Hook", []byte(`{"object_kind":"push","ref":"refs/heads/x","push_options":{"ci":{"variable":{"A=b":1}}}}`))
	f.Fuzz(func(t *testing.T, n uint8, event string, body []byte) {
		forge := Forges()[int(n)%len(Forges())]
		d := Delivery{Header: textproto.MIMEHeader{}, Body: body}
		d.Header.Set(headersOf(forge).event[0], event)
		mac := hmac.New(sha256.New, []byte("secret-1"))
		mac.Write(body)
		d.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		if _, err := Verify(GitHub, d, [][]byte{[]byte("secret-1")}, time.Time{}); err != nil {
			t.Errorf("a right signature: %v", err)
		}
		e, err := Read(forge, d)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("kind of %v", err)
			}
			return
		}
		if len(e.Changes) > maxChanges || e.Kind == KindMergeRequest && e.MergeRequest == nil || e.Kind == KindComment && e.Comment == nil {
			t.Errorf("event %+v", e)
		}
		for _, c := range e.Changes {
			if !refLike(c.Ref) {
				t.Errorf("ref %q", c.Ref)
			}
		}
	})
}

func FuzzVerifyStandard(f *testing.F) {
	f.Add("msg_1", "1780000000", "v1,AAAA", []byte("{}"))
	key := []byte("whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=")
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		d := Delivery{Header: textproto.MIMEHeader{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}, Body: body}
		if _, err := Verify(GitLab, d, [][]byte{key}, time.Unix(1_780_000_000, 0)); err == nil {
			t.Errorf("%q %q %q is taken for signed", id, stamp, signature)
		}
	})
}
