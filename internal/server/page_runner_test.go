package server

import (
	"net/http"
	"strings"
	"testing"

	"refline/internal/store"
)

// A runner is drained, gets jobs again and is removed on its page.
func TestRunnerPage(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	name := "box 1/<b>"
	err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutRunner(t.Context(), store.Runner{ID: 7, Name: name, Tags: []string{"gpu"}, Executors: []string{"docker"}, Created: s.now(), Seen: s.now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	cookie, path := s.signInWith(s.link()), "/runners/box%201%2F%3Cb%3E"
	got := s.do(browser(path, cookie))
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "away") || !strings.Contains(got.body, "gpu") || !strings.Contains(got.body, "refline runner show &#39;box 1/&lt;b&gt;&#39;") {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	for _, on := range []string{"true", "false"} {
		if got := s.send(path+"/drain", cookie, "on", on); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != path {
			t.Errorf("drain %s: %d to %s", on, got.StatusCode, got.Header.Get("Location"))
		}
		if r, err := s.client().Runner(t.Context(), name); err != nil || r.Draining != (on == "true") {
			t.Errorf("drain %s: %+v %v", on, r, err)
		}
	}
	if got := s.send(path+"/remove", cookie); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/runners" {
		t.Errorf("remove: %d %s", got.StatusCode, got.body)
	}
	if got := s.do(browser(path, cookie)); got.StatusCode != http.StatusNotFound {
		t.Errorf("removed: %d", got.StatusCode)
	}
}
