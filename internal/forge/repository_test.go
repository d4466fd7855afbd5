package forge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/forge/forgetest"
	"refline/internal/netguard"
	"refline/internal/secret"
)

const (
	testToken = "token-of-a-test"
	commit    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

func kinds() []forge.Kind {
	return []forge.Kind{forge.KindGitLab, forge.KindGitHub, forge.KindGitea, forge.KindBitbucket, forge.KindBitbucketDC}
}

// start serves a forge and opens its repository through a guard that allows it.
func startForge(t *testing.T, kind forge.Kind, with string) (*forgetest.Forge, forge.Repository) {
	t.Helper()
	fake := forgetest.StartForge(t, string(kind), testToken)
	return fake, openAt(t, kind, fake.URL, with)
}

func openAt(t *testing.T, kind forge.Kind, url, with string) forge.Repository {
	t.Helper()
	guard := netguard.New(netguard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	r, err := forge.Open(kind, forge.Options{URL: url, Path: "g/p", Token: secret.NewString(with), Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStatusOfEachForge(t *testing.T) {
	t.Parallel()
	all := []forge.State{forge.StatePending, forge.StateRunning, forge.StateSuccess, forge.StateFailed, forge.StateError, forge.StateCanceled, forge.StateSkipped}
	for kind, want := range map[forge.Kind]string{
		forge.KindGitLab:      "pending running success failed failed canceled skipped",
		forge.KindGitHub:      "pending pending success failure error error success",
		forge.KindGitea:       "pending pending success failure error error success",
		forge.KindBitbucket:   "INPROGRESS INPROGRESS SUCCESSFUL FAILED FAILED STOPPED SUCCESSFUL",
		forge.KindBitbucketDC: "INPROGRESS INPROGRESS SUCCESSFUL FAILED FAILED CANCELLED SUCCESSFUL",
	} {
		fake, r := startForge(t, kind, testToken)
		var got []string
		for i, state := range all {
			name := fmt.Sprintf("refline/a-flow-with-a-name-of-more-than-forty-characters-%d (mr)", i)
			s := forge.Status{Commit: commit, Ref: "refs/heads/main", Context: name, State: state, Description: strings.Repeat("ü", 300), URL: "https://r.example/runs/1"}
			if err := r.SetStatus(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			last := fake.Statuses()[i]
			got = append(got, last.State)
			if last.Commit != commit || last.Context != name || last.URL != s.URL || !strings.HasSuffix(last.Description, "ü…") {
				t.Errorf("%s: %+v", kind, last)
			}
			if (kind == forge.KindGitLab || kind == forge.KindBitbucket) && last.Ref != "main" {
				t.Errorf("%s: ref %q", kind, last.Ref)
			}
		}
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		// The same again: GitLab refuses it, which is as good.
		s := forge.Status{Commit: commit, Context: "refline/x", State: forge.StateSuccess, URL: "https://r.example"}
		for range 2 {
			if err := r.SetStatus(t.Context(), s); err != nil {
				t.Errorf("%s: the same state again: %v", kind, err)
			}
		}
	}
}

func TestAnswersOfForges(t *testing.T) {
	t.Parallel()
	set := func(ctx context.Context, r forge.Repository) error {
		return r.SetStatus(ctx, forge.Status{Commit: commit, Context: "refline/x", State: forge.StateSuccess, URL: "https://r.example"})
	}
	for _, kind := range kinds() {
		fake, r := startForge(t, kind, testToken)
		for _, tc := range []struct {
			status int
			body   string
			header string
			kind   errs.Kind
			again  bool
			after  time.Duration
			text   string
		}{
			{409, "", "", errs.Conflict, true, 0, "409"},
			{429, "", "Retry-After: 7", errs.Unavailable, true, 7 * time.Second, "limits how often"},
			{403, `{"message":"You have exceeded a secondary rate limit"}`, "Retry-After: 60", errs.Unavailable, true, time.Minute, "limits how often"},
			{403, `{"message":"API rate limit exceeded"}`, "", errs.Unavailable, true, 0, "limits how often"},
			{500, `oops`, "", errs.Unavailable, true, 0, "500"},
			{503, "", "Retry-After: 99999999", errs.Unavailable, true, time.Hour, "503"},
			{401, "", "", errs.Denied, false, 0, "expired"},
			{403, "", "", errs.Denied, false, 0, "the token needs"},
			{404, "", "", errs.NotFound, false, 0, "not"},
			{422, `{"message":"Validation Failed","errors":[{"message":"No commit found for SHA"},{"code":"custom"}]}`, "", errs.Invalid, false, 0, "Validation Failed"},
			{400, `{"error":{"message":"bad, said to ` + testToken + `"}}`, "", errs.Invalid, false, 0, "400"},
		} {
			body := tc.body
			if body == "oops" {
				body = `"oops"`
			}
			fake.Fail(tc.status, body, tc.header)
			err := set(t.Context(), r)
			after, again := forge.Retry(err)
			if !errs.Is(err, tc.kind) || again != tc.again || after != tc.after || !strings.Contains(fmt.Sprint(err), tc.text) || strings.Contains(fmt.Sprint(err), testToken) {
				t.Errorf("%s: %d %s: kind %s, again %t after %s: %v", kind, tc.status, tc.body, errs.KindOf(err), again, after, err)
			}
		}
		if n := fake.Requests(); n != 11 {
			t.Errorf("%s: %d requests: the client tries again by itself", kind, n)
		}
		err := set(t.Context(), openAt(t, kind, fake.URL, "wrong"))
		if _, again := forge.Retry(err); !errs.Is(err, errs.Denied) || again || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: with a wrong token: %v", kind, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := set(gone, r); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: canceled: %v", kind, err)
		}
		closed := httptest.NewServer(http.NotFoundHandler())
		closed.Close()
		err = set(t.Context(), openAt(t, kind, closed.URL, testToken))
		if _, again := forge.Retry(err); !errs.Is(err, errs.Unavailable) || !again {
			t.Errorf("%s: nothing answers: %v", kind, err)
		}
	}
	if _, again := forge.Retry(nil); again {
		t.Error("success is tried again")
	}
}

// A server asks no private address that the operator did not allow.
func TestRequestsAreGuarded(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		fake := forgetest.StartForge(t, string(kind), testToken)
		r, err := forge.Open(kind, forge.Options{URL: fake.URL, Path: "g/p", Token: secret.NewString(testToken), Guard: netguard.New(netguard.Options{})})
		if err != nil {
			t.Fatal(err)
		}
		err = r.SetStatus(t.Context(), forge.Status{Commit: commit, Context: "c", State: forge.StateSuccess})
		if _, again := forge.Retry(err); !errs.Is(err, errs.Denied) || again || fake.Requests() > 0 {
			t.Errorf("%s: %v, %d requests", kind, err, fake.Requests())
		}
	}
}

func TestCommentsAreEditedInPlace(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		fake, r := startForge(t, kind, testToken)
		put := func(id, body string) string {
			t.Helper()
			got, err := r.PutComment(t.Context(), forge.Comment{MergeRequest: 7, ID: id, Key: "hello (7) --> x", Body: body, URL: "https://r.example/runs/1"})
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			return got
		}
		id := put("", "one")
		first := fake.Comments()[0].Body
		for range 130 {
			fake.AddComment(forgetest.Comment{Request: 7, Body: "talk"})
		}
		if again := put(id, "two"); again != id {
			t.Errorf("%s: by its id: %s, then %s", kind, id, again)
		}
		if again := put("", "three"); again != id {
			t.Errorf("%s: by its key: %s, then %s", kind, id, again)
		}
		if again := put("999999", "four"); again != id {
			t.Errorf("%s: with an id that is gone: %s, then %s", kind, id, again)
		}
		if all := fake.Comments(); len(all) != 131 || !strings.HasSuffix(all[0].Body, "\nfour") {
			t.Errorf("%s: %d comments, the first %q", kind, len(all), all[0].Body)
		}
		// The first line is not shown: a comment of HTML, or a link without use.
		line, _, _ := strings.Cut(first, "\n")
		if hidden := strings.HasPrefix(line, "<!-- refline:") && strings.Count(line, "-->") == 1; hidden == strings.HasPrefix(string(kind), "bitbucket") ||
			!hidden && !strings.HasPrefix(line, "[//]: # (refline:hello__7___") {
			t.Errorf("%s: first line %q", kind, line)
		}
		put(id, strings.Repeat("a long line\n", 200_000))
		if body := fake.Comments()[0].Body; !strings.Contains(body, "[the whole text](https://r.example/runs/1)") {
			t.Errorf("%s: a long comment ends %q", kind, body[max(0, len(body)-100):])
		}
	}
}

// A comment of someone else that quotes ours is left alone.
func TestForeignComments(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		fake, r := startForge(t, kind, testToken)
		if _, err := r.PutComment(t.Context(), forge.Comment{MergeRequest: 7, Key: "k", Body: "ours"}); err != nil {
			t.Fatal(err)
		}
		quote := fake.Comments()[0].Body
		fake2, r2 := startForge(t, kind, testToken)
		fake2.AddComment(forgetest.Comment{Request: 7, Body: quote, Foreign: true})
		if _, err := r2.PutComment(t.Context(), forge.Comment{MergeRequest: 7, Key: "k", Body: "ours"}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if all := fake2.Comments(); len(all) != 2 || all[0].Body != quote {
			t.Errorf("%s: %+v", kind, all)
		}
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	const address = "https://refline.example.com/hooks/abc"
	for kind, events := range map[forge.Kind]string{
		forge.KindGitLab: "push tag_push merge_requests note", forge.KindGitHub: "push pull_request issue_comment repository",
		forge.KindGitea:       "push delete pull_request issue_comment",
		forge.KindBitbucket:   "repo:push pullrequest:created pullrequest:updated pullrequest:fulfilled pullrequest:rejected pullrequest:comment_created",
		forge.KindBitbucketDC: "repo:refs_changed pr:opened pr:from_ref_updated pr:modified pr:merged pr:declined pr:deleted pr:comment:added",
	} {
		fake, r := startForge(t, kind, testToken)
		for range 60 { // others' come first
			fake.AddHook(forgetest.Hook{URL: address + "/other"})
		}
		ensure := func(value string) string {
			t.Helper()
			id, err := r.EnsureHook(t.Context(), forge.Hook{URL: address, Secret: secret.NewString(value)})
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			return id
		}
		ours := func() []forgetest.Hook {
			return slices.DeleteFunc(fake.Hooks(), func(h forgetest.Hook) bool { return h.URL != address })
		}
		id := ensure("secret-one")
		if again := ensure("secret-two"); again != id {
			t.Errorf("%s: another hook: %s, then %s", kind, id, again)
		}
		fake.AddHook(forgetest.Hook{URL: address}) // made by hand
		ensure("secret-three")
		list := ours()
		if len(list) != 1 || list[0].Secret != "secret-three" || !list[0].JSON || strings.Join(list[0].Events, " ") != events {
			t.Errorf("%s: hooks %+v", kind, list)
		}
		if err := r.RemoveHook(t.Context(), address); err != nil || len(ours()) > 0 || len(fake.Hooks()) != 60 {
			t.Errorf("%s: removed: %v, %d left", kind, err, len(fake.Hooks()))
		}
		if err := r.RemoveHook(t.Context(), address); err != nil {
			t.Errorf("%s: removed twice: %v", kind, err)
		}
		fake.Fail(422, `{"message":"the secret secret-four is too short"}`, "")
		_, err := r.EnsureHook(t.Context(), forge.Hook{URL: address, Secret: secret.NewString("secret-four")})
		if !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "secret-four") || !strings.Contains(err.Error(), "too short") {
			t.Errorf("%s: refused: %v", kind, err)
		}
		if _, err := r.EnsureHook(t.Context(), forge.Hook{URL: "/hooks/abc"}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "--public-url") {
			t.Errorf("%s: without a host: %v", kind, err)
		}
	}
}

func TestSigningKeysOfGitLab(t *testing.T) {
	t.Parallel()
	const address, key = "https://refline.example.com/hooks/abc", "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
	fake, r := startForge(t, forge.KindGitLab, testToken)
	if _, err := r.EnsureHook(t.Context(), forge.Hook{URL: address, Secret: secret.NewString(key)}); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), key) {
		t.Errorf("an old GitLab: %v", err)
	}
	fake.Signing = true
	if _, err := r.EnsureHook(t.Context(), forge.Hook{URL: address, Secret: secret.NewString(key)}); err != nil {
		t.Error(err)
	}
	if h := fake.Hooks(); len(h) != 1 || !h[0].Signed || h[0].Secret != key {
		t.Errorf("hooks %+v", h)
	}
}

func TestOpenChecksItsOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []forge.Options{
		{URL: "http://git.example.com", Path: "g/p"}, {URL: "git.example.com", Path: "g/p"}, {URL: "https://user:pw@git.example.com", Path: "g/p"},
	} {
		for _, kind := range kinds() {
			if _, err := forge.Open(kind, o); err == nil || strings.Contains(err.Error(), "pw@") {
				t.Errorf("%s %s: %v", kind, o.URL, err)
			}
		}
	}
	for _, path := range []string{"", "g", "/p", "g/", "g/p/q"} {
		for _, kind := range kinds()[1:] { // projects of GitLab have any depth
			if _, err := forge.Open(kind, forge.Options{URL: "https://git.example.com", Path: path}); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s %q: %v", kind, path, err)
			}
		}
	}
	if _, err := forge.Open("sourcehut", forge.Options{URL: "https://git.example.com", Path: "g/p"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown forge: %v", err)
	}
}

func TestCutMarkdown(t *testing.T) {
	t.Parallel()
	const rest = "*Cut here: [the whole text](https://r.example).*"
	for name, body := range map[string]string{
		"lines":              strings.Repeat("line\n", 100),
		"one line":           strings.Repeat("ü", 400),
		"a fence":            "text\n```diff\n" + strings.Repeat("+ line\n", 100) + "```\n",
		"a longer fence":     "````\n```\n" + strings.Repeat("line\n", 100),
		"a fence of tildes":  "~~~\n```\n" + strings.Repeat("line\n", 100),
		"details and fences": "<details><summary>s</summary>\n\n```\n" + strings.Repeat("line\n", 100) + "```\n</details>\n",
		"many short fences":  strings.Repeat("```\na\n```\n", 60),
	} {
		got := forge.CutMarkdown(body, 300, rest)
		if len(got) > 300 || !strings.HasSuffix(got, "\n\n"+rest+"\n") {
			t.Errorf("%s: %d bytes, ends %q", name, len(got), got[max(0, len(got)-80):])
		}
		if strings.Count(got, "<details")-strings.Count(got, "</details>") != 0 {
			t.Errorf("%s: details stay open: %q", name, got)
		}
		open := ""
		for line := range strings.SplitSeq(got, "\n") {
			switch {
			case open == "" && (strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~")):
				open = strings.TrimRight(line, "dif")
			case open != "" && line == open:
				open = ""
			}
		}
		if open != "" {
			t.Errorf("%s: the fence %s stays open: %q", name, open, got)
		}
	}
	if got := forge.CutMarkdown("short", 300, rest); got != "short" {
		t.Errorf("a short text: %q", got)
	}
}

func FuzzCutMarkdown(f *testing.F) {
	f.Add("```\na\n```\n<details>\n", 100)
	f.Add(strings.Repeat("~", 300), 120)
	f.Fuzz(func(t *testing.T, body string, most int) {
		most = max(100, most%1000)
		if got := forge.CutMarkdown(body, most, "*Cut here.*"); len(got) > most {
			t.Errorf("%d bytes of %d", len(got), most)
		}
	})
}
