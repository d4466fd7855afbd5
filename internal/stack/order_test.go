package stack

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachGoesInOrderOfDependency(t *testing.T) {
	t.Parallel()
	c := load(t, `
stacks:
  app: {template: t, depends_on: [middle]}
  middle: {template: t, depends_on: [network]}
  network: {template: t}
  other: {template: t}
environments:
  dev: {account: "111111111111", region: r}
`)
	_, targets, err := c.Choose("dev", Ref{}, []string{"app", "network", "other"})
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 8)
	outcomes := c.Each(t.Context(), targets, 4, func(_ context.Context, t *Target) error {
		order <- t.Name
		return nil
	})
	close(order)
	at := map[string]int{}
	for name := range order {
		at[name] = len(at)
	}
	if at["network"] > at["app"] || len(outcomes) != 3 {
		t.Errorf("app went before network, which it needs through middle: %v", at)
	}
	outcomes = c.Each(t.Context(), targets, 1, func(_ context.Context, t *Target) error {
		if t.Name == "network" {
			return errors.New("no")
		}
		return nil
	})
	got := map[string]string{}
	for _, o := range outcomes {
		got[o.Target.Name] = o.Reason()
	}
	if diff := cmp.Diff(map[string]string{"network": "no", "app": "skipped: network failed", "other": ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	outcomes = c.EachReverse(t.Context(), targets, 2, func(_ context.Context, t *Target) error {
		if t.Name == "app" {
			return errors.New("no")
		}
		return nil
	})
	for _, o := range outcomes {
		if o.Target.Name == "network" && o.Skipped != "app" {
			t.Errorf("network is deleted before what needs it: %+v", o)
		}
	}
}

func TestGraph(t *testing.T) {
	t.Parallel()
	c := load(t, twoStacks)
	for f, want := range map[GraphFormat]string{
		GraphText:    "network  network-dev\nlanding  landing-dev\n  after network by VpcId\n",
		GraphDOT:     "digraph stacks {\n  rankdir=LR;\n  \"network\" [label=\"network-dev\"];\n  \"landing\" [label=\"landing-dev\"];\n  \"network\" -> \"landing\" [label=\"VpcId\"];\n}\n",
		GraphMermaid: "graph LR\n  network[network-dev]\n  landing[landing-dev]\n  network -->|VpcId| landing\n",
	} {
		if diff := cmp.Diff(want, c.Graph(c.Environments[0], f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
}
