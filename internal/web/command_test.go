package web

import (
	"testing"

	"refline/internal/api"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]string{
		"refline flow run daily_sales --project data/warehouse": {"flow", "run", "daily_sales", "--project", "data/warehouse"},
		`refline schedule add x --cron '0 6 * * *'`:             {"schedule", "add", "x", "--cron", "0 6 * * *"},
		`refline environment show 'it'\''s $(rm) "x"'`:          {"environment", "show", `it's $(rm) "x"`},
		`refline var set A --env ''`:                            {"var", "set", "A", "--env", ""},
		"refline runs log 7 'unit: [1.25]'":                     {"runs", "log", "7", "unit: [1.25]"},
	} {
		if got := command(words...); got != want {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}

func TestDeliveryResult(t *testing.T) {
	t.Parallel()
	now := api.Delivery{}.Received
	for name, c := range map[string]struct {
		in   api.Delivery
		want Cell
	}{
		"a run":        {api.Delivery{Kind: "push", Results: []api.Result{{Run: 7, State: "made"}, {State: "none"}}}, Cell{Text: "run 7, no pipeline", Path: "/runs/7"}},
		"an error":     {api.Delivery{Kind: "push", Results: []api.Result{{State: "failed", Error: "ci.yml:3: no\nmore"}}}, Cell{Look: "failed", Text: "no run", Sub: "ci.yml:3: no"}},
		"an approval":  {api.Delivery{Kind: "merge_request", Results: []api.Result{{State: "approval"}}}, Cell{Text: "waits for an approval"}},
		"a test":       {api.Delivery{Kind: "test"}, Cell{Text: "a test"}},
		"not read":     {api.Delivery{Kind: "push"}, Cell{Text: "waits for a look at the repository"}},
		"nothing new":  {api.Delivery{Kind: "push", Read: &now}, Cell{Text: "nothing new at its ref"}},
		"another kind": {api.Delivery{Kind: "comment", Read: &now}, Cell{Text: "nothing follows from it"}},
	} {
		if got := deliveryResult(c.in); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
