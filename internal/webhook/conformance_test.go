package webhook

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// published is the folder of published deliveries and signatures.
func published(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("REFLINE_CONFORMANCE")
	if folder == "" {
		t.Skip("REFLINE_CONFORMANCE is not set: it names the folder of published cases")
	}
	return filepath.Join(folder, "webhooks")
}

func readDelivery(t testing.TB, path string) Delivery {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(strings.TrimSuffix(path, ".json") + ".headers")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := Delivery{Header: textproto.MIMEHeader{}, Body: body}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), ": "); found {
			d.Header.Add(name, value)
		}
	}
	return d
}

// index returns the rows of the published index by column.
func index(t testing.TB, folder string) []map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, value := range strings.Split(line, "\t") {
			row[columns[i]] = value
		}
		rows = append(rows, row)
	}
	if len(rows) < 100 {
		t.Fatalf("the index has %d rows", len(rows))
	}
	return rows
}

func TestPublishedDeliveries(t *testing.T) {
	t.Parallel()
	folder := published(t)
	for _, want := range index(t, folder) {
		d := readDelivery(t, filepath.Join(folder, want["file"]))
		e, err := Read(Forge(want["forge"]), d)
		if err != nil {
			t.Errorf("%s: %v", want["file"], err)
			continue
		}
		n, _ := strconv.Atoi(want["change"])
		got := row(e, n)
		if want["kind"] == "issue_comment" { // only that nothing follows
			delete(want, "number")
		}
		for column, value := range got {
			if value != want[column] && !(column == "draft" && want[column] == "") && !(column == "target_branch" && e.MergeRequest == nil) {
				t.Errorf("%s, change %d: %s is %q, want %q", want["file"], n, column, value, want[column])
			}
		}
		if diff := gocmp.Diff(wantedAction(want), followUp(e)); diff != "" {
			t.Errorf("%s: for %q (-want +got):\n%s", want["file"], want["action"], diff)
		}
		if id := DeliveryID(e.Forge, d); id == "" || id != e.Delivery {
			t.Errorf("%s: delivery id %q", want["file"], id)
		}
	}
}

// row is an event in the words of the index.
func row(e Event, n int) map[string]string {
	r := map[string]string{"repository": e.Project.Path, "kind": kindWord(e, n), "ref": "", "before": "", "after": "", "commit": "", "number": ""}
	if len(e.Changes) > n {
		c := e.Changes[n]
		r["ref"], r["before"], r["after"], r["commit"] = c.Ref, c.Before, c.After, c.Commit
		if e.Forge == GitHub && e.Name == "delete" {
			r["after"] = "" // the payload has no value at all; here it is none
		}
	}
	if m := e.MergeRequest; m != nil {
		r["ref"], r["before"], r["after"], r["commit"] = m.Ref, m.Previous, m.Head, m.Head
		r["source_branch"], r["target_branch"], r["number"] = m.Source, m.Target, strconv.FormatInt(m.Number, 10)
		r["draft"] = strconv.FormatBool(m.Draft)
		r["fork"] = map[Origin]string{OriginSame: "false", OriginFork: "true", OriginUnknown: "unknown"}[m.Origin]
		if e.Forge == Bitbucket {
			r["ref"] += " in " + m.SourcePath
		}
	}
	return r
}

func kindWord(e Event, n int) string {
	switch {
	case e.Kind == KindTest:
		if len(e.Changes) > 0 {
			return "test"
		}
		return "ping"
	case e.Kind == KindComment:
		return "mr_comment"
	case e.Kind == KindRepository:
		return "repository_" + cmp.Or(map[bool]string{true: "transferred"}[e.Project.OldPath != ""], "edited")
	case e.Kind == KindRerun:
		return "check_run_rerequested"
	case e.MergeRequest != nil:
		m := e.MergeRequest
		raw := m.RawAction
		if _, after, found := strings.Cut(raw, ":"); found {
			raw = strings.ReplaceAll(after, ":", "_")
		}
		switch {
		case raw == "rejected":
			raw = "declined"
		case m.Action == ActionMerged && raw != "merge":
			raw = "merged"
		}
		return "mr_" + raw
	case e.Kind == KindIgnored && e.Name == "issue_comment":
		return "issue_comment"
	case e.Name == "merge_group":
		return "merge_group_checks_requested"
	case len(e.Changes) <= n:
		if strings.HasPrefix(e.Name, "mirror:") {
			return "mirror_ref_limit"
		}
		return "empty_push"
	}
	c := e.Changes[n]
	word := "branch"
	if strings.HasPrefix(c.Ref, "refs/tags/") {
		word = "tag"
	}
	switch {
	case e.Name == "create":
		return word + "_created_event"
	case e.Name == "delete":
		return word + "_deleted_event"
	case strings.HasPrefix(e.Name, "mirror:"):
		word = "mirror_" + word
	}
	switch {
	case c.Deleted():
		return word + "_deleted"
	case c.Created():
		return word + "_created"
	case c.Forced:
		return word + "_forced"
	}
	return word + "_updated"
}

// follow is what an event asks for, as far as it can say without git.
type follow struct {
	Look     bool // at the refs
	Action   Action
	Comment  bool
	Approval bool
}

func followUp(e Event) follow {
	f := follow{Look: e.Kind == KindPush}
	if e.MergeRequest != nil {
		f.Action = e.MergeRequest.Action
		f.Approval = e.MergeRequest.Origin == OriginFork && f.Action != ActionOther
	}
	f.Comment = e.Comment != nil && e.Comment.Created
	return f
}

// wantedAction reads the index's word for what to do.
func wantedAction(row map[string]string) follow {
	action, kind := row["action"], row["kind"]
	mr := strings.HasPrefix(kind, "mr_")
	f := follow{Approval: row["fork"] == "true" && !strings.Contains(action, "metadata")}
	switch {
	case kind == "mr_comment":
		f.Comment, f.Action = strings.HasPrefix(action, "command"), ActionOther
	case !mr:
		f.Look = strings.HasPrefix(kind, "branch_") || strings.HasPrefix(kind, "tag_") || strings.HasPrefix(kind, "mirror_") || kind == "empty_push" || strings.HasPrefix(kind, "merge_group")
	case strings.Contains(action, "the stored"), strings.Contains(action, "only the target moved"):
		f.Action = ActionUnclear
	case kind == "mr_from_ref_updated", kind == "mr_synchronize", kind == "mr_synchronized", strings.Contains(row["note"], "oldrev set"):
		f.Action = ActionPushed
	case strings.Contains(action, "the push to the target branch"):
		f.Action = ActionMerged
	case strings.Contains(action, "stop environments"):
		f.Action = ActionClosed
	case kind == "mr_reopened":
		f.Action = ActionReopened
	case strings.Contains(row["note"], "previousTarget set"):
		f.Action = ActionRetargeted
	case strings.HasPrefix(action, "merge request pipeline"), strings.HasPrefix(action, "approval"):
		f.Action = ActionOpened
	default:
		f.Action = ActionOther
	}
	return f
}

type signatureCase struct {
	ID          string      `json:"id"`
	Scheme      string      `json:"scheme"`
	Secrets     []string    `json:"secrets"`
	Headers     [][2]string `json:"headers"`
	Body        string      `json:"body_base64"`
	Now         int64       `json:"now"`
	Seen        []string    `json:"seen"`
	DeliveryKey string      `json:"delivery_key"`
	Want        string      `json:"want"`
	Why         string      `json:"why"`
}

func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(published(t), "signatures.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c signatureCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		forge := Forge(c.Scheme)
		if c.Scheme == "gitlab-token" || c.Scheme == "standard" {
			forge = GitLab
		}
		d := Delivery{Header: textproto.MIMEHeader{}}
		if d.Body, err = base64.StdEncoding.DecodeString(c.Body); err != nil {
			t.Fatal(err)
		}
		for _, h := range c.Headers {
			d.Header.Add(h[0], h[1])
		}
		var secrets [][]byte
		for _, s := range c.Secrets {
			secrets = append(secrets, []byte(s))
		}
		proof, err := Verify(forge, d, secrets, time.Unix(c.Now, 0))
		got := "valid"
		switch {
		case err != nil:
			got = "invalid"
		case proof == UnsignedPing:
			got = "ping"
		default:
			for _, id := range c.Seen {
				if DeliveryID(forge, d) == id {
					got = "duplicate"
				}
			}
		}
		if got != c.Want {
			t.Errorf("%s: %s, want %s (%s): %v", c.ID, got, c.Want, c.Why, err)
		}
		if (err != nil) != (proof == Unproven) {
			t.Errorf("%s: proof %d with %v", c.ID, proof, err)
		}
		for _, s := range c.Secrets {
			if err != nil && len(s) > 3 && strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error shows the secret: %v", c.ID, err)
			}
		}
	}
	if n < 200 {
		t.Errorf("%d cases", n)
	}
}
