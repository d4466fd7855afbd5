package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/forge/forgetest"
	"refline/internal/netguard"
	"refline/internal/notify"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/store/storetest"
	"refline/internal/webhook"
)

const sha = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// kept is a store of a server, as notify sees it.
type kept struct{ *store.Store }

var _ notify.Store = kept{}

func (k kept) Want(ctx context.Context, messages []notify.Message) error {
	ids, err := k.NewIDs(ctx, "notification", len(messages))
	if err != nil {
		return err
	}
	return k.Update(ctx, func(tx *store.Tx) error {
		for i, m := range messages {
			m.ID = ids[i]
			if err := tx.WantNotification(ctx, store.Notification(m)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k kept) Due(ctx context.Context, now time.Time, n int) ([]notify.Message, error) {
	list, err := k.DueNotifications(ctx, now, n)
	messages := make([]notify.Message, len(list))
	for i, row := range list {
		messages[i] = notify.Message(row)
	}
	return messages, err
}

func (k kept) Finish(ctx context.Context, m notify.Message) error {
	return k.Update(ctx, func(tx *store.Tx) error { return tx.FinishNotification(ctx, store.Notification(m)) })
}

func (k kept) Next(ctx context.Context) (time.Time, error) { return k.NextNotification(ctx) }

// bench is a deliverer with a real store, a forge, and a clock that stands.
type bench struct {
	*notify.Deliverer
	t     *testing.T
	store *store.Store
	forge *forgetest.Forge
	now   time.Time
	rules map[int64]notify.Rule
}

func newBench(t *testing.T, kind forge.Kind) *bench {
	t.Helper()
	guard := netguard.New(netguard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	b := &bench{t: t, store: storetest.Open(t, filepath.Join(t.TempDir(), "refline.db")), forge: forgetest.StartForge(t, string(kind), "right"),
		now: time.Unix(1_780_000_000, 0).UTC(), rules: map[int64]notify.Rule{}}
	b.Deliverer = &notify.Deliverer{
		Store: kept{b.store}, Now: func() time.Time { return b.now }, Client: guard.Client(netguard.ClientOptions{Timeout: 10 * time.Second}),
		Repository: func(context.Context, int64) (forge.Repository, error) {
			return forge.Open(kind, forge.Options{URL: b.forge.URL, Path: "g/p", Token: secret.NewString("right"), Guard: guard})
		},
		Rule: func(_ context.Context, id int64) (notify.Rule, error) {
			if r, ok := b.rules[id]; ok {
				return r, nil
			}
			return notify.Rule{}, errs.E(errs.NotFound, "the notification was removed")
		},
	}
	return b
}

func (b *bench) want(m notify.Message, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	b.wantAll([]notify.Message{m}, nil)
}

func (b *bench) wantAll(list []notify.Message, err error) {
	b.t.Helper()
	if err == nil {
		err = b.Store.Want(b.t.Context(), list)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) pass() time.Time {
	b.t.Helper()
	next, err := b.Pass(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

func run(status string) notify.Run {
	return notify.Run{ID: 5, Number: 41, ProjectID: 1, Project: "shop", Flow: "load", Status: status, Source: "push", Ref: "refs/heads/main", Commit: sha, Title: "Load more", Actor: "ann", URL: "https://r.example/runs/5"}
}

func (b *bench) states() string {
	var list []string
	for _, s := range b.forge.Statuses() {
		list = append(list, s.State)
	}
	return strings.Join(list, " ")
}

func TestStatusFollowsTheRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	for _, status := range []string{"created", "pending", "running", "running", "success"} {
		b.want(notify.WantStatus(run(status), b.now))
		if next := b.pass(); !next.IsZero() {
			t.Errorf("%s: due again at %v", status, next)
		}
	}
	if got := b.states(); got != "pending running success" {
		t.Errorf("states %q", got)
	}
	if last := b.forge.Statuses()[2]; last.Context != "refline/load" || last.Commit != sha || last.Ref != "main" || last.URL != "https://r.example/runs/5" || !strings.HasPrefix(last.Description, "#41 passed") {
		t.Errorf("status %+v", last)
	}
	// Only the last of states that were wanted at once is sent.
	n := b.forge.Requests()
	other := run("created")
	other.Flow = "other"
	for _, status := range []string{"created", "running", "failed"} {
		other.Status = status
		b.want(notify.WantStatus(other, b.now))
	}
	b.pass()
	if got := b.states(); got != "pending running success failed" || b.forge.Requests() != n+1 {
		t.Errorf("states %q in %d requests", got, b.forge.Requests()-n)
	}
}

func TestStatusIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []forge.Kind{forge.KindGitLab, forge.KindGitHub, forge.KindBitbucket} {
		b := newBench(t, kind)
		for _, answer := range []struct {
			status int
			header string
			wait   time.Duration
		}{{409, "", 5 * time.Second}, {429, "Retry-After: 120", 120 * time.Second}, {503, "", 20 * time.Second}, {500, "", 40 * time.Second}} {
			b.forge.Fail(answer.status, "", answer.header)
			b.want(notify.WantStatus(run("running"), b.now))
			next := b.pass()
			if d := next.Sub(b.now); d < answer.wait || d > answer.wait+answer.wait/4 {
				t.Fatalf("%s: after %d it is due in %s", kind, answer.status, d)
			}
			n := b.forge.Requests()
			if b.pass(); b.forge.Requests() != n {
				t.Errorf("%s: it does not wait", kind)
			}
			b.now = next
		}
		b.pass()
		if n := len(b.forge.Statuses()); n != 1 {
			t.Errorf("%s: %d statuses", kind, n)
		}
	}
}

func TestStatusStops(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 422} {
		b := newBench(t, forge.KindGitHub)
		b.forge.Fail(status, "", "")
		b.want(notify.WantStatus(run("running"), b.now))
		if next := b.pass(); !next.IsZero() {
			t.Errorf("%d: due again at %v", status, next)
		}
		rows, err := b.store.Notifications(t.Context(), 5)
		if err != nil || len(rows) != 1 || rows[0].State != notify.StateStopped || !strings.Contains(rows[0].Error, fmt.Sprint(status)) || strings.Contains(rows[0].Error, "right") {
			t.Errorf("%d: %+v, %v", status, rows, err)
		}
		// The next state is another try: the token may be right by then.
		b.want(notify.WantStatus(run("success"), b.now))
		b.pass()
		if got := b.states(); got != "success" {
			t.Errorf("%d: states %q", status, got)
		}
	}
	b := newBench(t, forge.KindGitHub)
	b.want(notify.WantStatus(run("running"), b.now))
	for range 30 {
		b.forge.Fail(500, "", "")
	}
	tries := 0
	for start := b.now; ; tries++ {
		next := b.pass()
		if next.IsZero() {
			break
		}
		if tries > 25 || next.Sub(start) > 24*time.Hour {
			t.Fatalf("tried %d times until %s", tries, next.Sub(start))
		}
		b.now = next
	}
	if tries != 19 {
		t.Errorf("tried %d times more", tries)
	}
}

func TestCommentIsEdited(t *testing.T) {
	t.Parallel()
	for _, kind := range []forge.Kind{forge.KindGitLab, forge.KindGitHub, forge.KindGitea, forge.KindBitbucket, forge.KindBitbucketDC} {
		b := newBench(t, kind)
		r := run("manual")
		r.MergeRequest = 7
		for _, body := range []string{"plan one", "plan two", "plan two"} {
			b.want(notify.WantComment(r, "plan:load", body, b.now))
			b.pass()
		}
		if all := b.forge.Comments(); len(all) != 1 || !strings.HasSuffix(all[0].Body, "\nplan two") {
			t.Errorf("%s: %+v", kind, all)
		}
		rows, err := b.store.Notifications(t.Context(), 5)
		if err != nil || len(rows) != 1 || rows[0].Remote == "" {
			t.Errorf("%s: %+v, %v", kind, rows, err)
		}
	}
}

// inbox is a webhook that answers as told.
type inbox struct {
	mu      sync.Mutex
	answers []int
	got     []webhook.Delivery
	url     string
}

func newInbox(t *testing.T, answers ...int) *inbox {
	t.Helper()
	in := &inbox{answers: answers}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.mu.Lock()
		defer in.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		in.got = append(in.got, webhook.Delivery{Header: textproto.MIMEHeader(r.Header), Body: body})
		if len(in.answers) > 0 {
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(in.answers[0])
			in.answers = in.answers[1:]
		}
	}))
	t.Cleanup(s.Close)
	in.url = s.URL + "/services/hidden-part"
	return in
}

func TestWebhooksAreSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	in := newInbox(t, 503)
	const key = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
	rule := notify.Rule{ID: 9, Name: "ops", Kind: notify.RuleWebhook, Events: notify.Events(), Settings: notify.Settings{URL: secret.NewString(in.url), Secret: secret.NewString(key)}}
	b.rules[9] = rule
	failed := run("failed")
	failed.Failed = []notify.Job{{Name: "test", Reason: "script_failure"}}
	list, err := notify.WantEvents(failed, []notify.Rule{rule}, b.now)
	b.wantAll(list, err)
	b.now = b.pass()
	b.pass()
	b.wantAll(list, nil) // the same state again
	b.pass()
	if len(in.got) != 2 {
		t.Fatalf("%d requests", len(in.got))
	}
	for _, d := range in.got {
		if proof, err := webhook.Verify(webhook.GitLab, d, [][]byte{[]byte(key)}, b.now); err != nil || proof != webhook.Signed {
			t.Errorf("proof %d, %v", proof, err)
		}
	}
	if in.got[0].Header.Get("Webhook-Id") != in.got[1].Header.Get("Webhook-Id") {
		t.Error("the second try has another id")
	}
	var body struct {
		Event, Subject, Text string
		Run                  struct {
			Number int64
			Failed []struct{ Name string }
		}
	}
	if err := json.Unmarshal(in.got[1].Body, &body); err != nil || body.Event != "failure" || body.Subject != "shop/load #41 failed on main" || body.Run.Number != 41 || body.Run.Failed[0].Name != "test" || !strings.Contains(body.Text, "failed: test (script_failure)") {
		t.Errorf("%+v, %v", body, err)
	}
}

func TestAddressesOfChatsAreSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	for _, status := range []int{302, 400, 401, 403, 404, 409, 410, 429, 500} {
		in := newInbox(t, status)
		rule := notify.Rule{ID: 9, Name: "team", Kind: notify.RuleSlack, Events: notify.Events(), Settings: notify.Settings{URL: secret.NewString(in.url)}}
		err := b.Test(t.Context(), rule)
		_, again := forge.Retry(err)
		if err == nil || strings.Contains(err.Error(), "hidden-part") || again != (status == 409 || status == 429 || status == 500) {
			t.Errorf("%d: again %t: %v", status, again, err)
		}
	}
	for _, address := range []string{"http://127.0.0.1:1/hidden-part", "http://10.0.0.1/hidden-part", "http://nowhere.invalid/hidden-part"} {
		rule := notify.Rule{ID: 9, Name: "team", Kind: notify.RuleSlack, Events: notify.Events(), Settings: notify.Settings{URL: secret.NewString(address)}}
		if err := b.Test(t.Context(), rule); err == nil || strings.Contains(err.Error(), "hidden-part") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestChatsAreNotAddressedByOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	in := newInbox(t)
	rule := notify.Rule{ID: 9, Name: "team", Kind: notify.RuleSlack, Events: notify.Events(), Settings: notify.Settings{URL: secret.NewString(in.url)}}
	b.rules[9] = rule
	r := run("failed")
	r.Title, r.Ref = "<!channel> & <https://evil.example|click> @all", "refs/heads/<!here>"
	r.Failed = []notify.Job{{Name: "<!everyone>"}}
	b.wantAll(notify.WantEvents(r, []notify.Rule{rule}, b.now))
	b.pass()
	var body struct{ Text string }
	if len(in.got) != 1 || json.Unmarshal(in.got[0].Body, &body) != nil {
		t.Fatalf("got %d", len(in.got))
	}
	if strings.Contains(body.Text, "<!") || strings.Contains(body.Text, "<https://evil") || strings.Contains(body.Text, "@all") || !strings.Contains(body.Text, "<https://r.example/runs/5|") {
		t.Errorf("text %q", body.Text)
	}
}

func TestRulesThatAreGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	rule := notify.Rule{ID: 8, Name: "gone", Kind: notify.RuleSlack, Events: notify.Events()}
	b.wantAll(notify.WantEvents(run("failed"), []notify.Rule{rule}, b.now))
	if next := b.pass(); !next.IsZero() {
		t.Errorf("due again at %v", next)
	}
	rows, err := b.store.Notifications(t.Context(), 5)
	if err != nil || len(rows) != 1 || rows[0].State != notify.StateStopped || !strings.Contains(rows[0].Error, "removed") {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestPassEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, forge.KindGitLab)
	b.want(notify.WantStatus(run("running"), b.now))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Pass(ctx); err == nil {
		t.Error("no error")
	}
	b.pass()
	if got := b.states(); got != "running" {
		t.Errorf("states %q", got)
	}
}
