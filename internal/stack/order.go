package stack

import (
	"context"
	"fmt"
	"sync"
)

// Outcome is what came of one target.
type Outcome struct {
	Target *Target
	Err    error
	// Skipped names the stack whose failure kept this one from its turn.
	Skipped string
}

// Each calls work for every target, one after those it depends on has
// returned nil, at most workers at a time. A target whose dependency failed is
// skipped. The outcomes are in the order of targets.
func (c *Config) Each(ctx context.Context, targets []*Target, workers int, work func(ctx context.Context, t *Target) error) []Outcome {
	return turns(ctx, targets, workers, work, c.waits(targets, false))
}

// EachReverse is [Config.Each] from the other end: a target's turn comes when
// all that depend on it are done, as deletion wants.
func (c *Config) EachReverse(ctx context.Context, targets []*Target, workers int, work func(ctx context.Context, t *Target) error) []Outcome {
	return turns(ctx, targets, workers, work, c.waits(targets, true))
}

// turns gives each target its turn after those it waits for.
func turns(ctx context.Context, targets []*Target, workers int, work func(context.Context, *Target) error, waits map[string][]string) []Outcome {
	outcomes := make([]Outcome, len(targets))
	done := make(map[string]chan struct{}, len(targets))
	at := map[string]int{}
	for i, t := range targets {
		outcomes[i].Target = t
		done[t.Name] = make(chan struct{})
		at[t.Name] = i
	}
	places := make(chan struct{}, max(workers, 1))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			defer close(done[t.Name])
			for _, name := range waits[t.Name] {
				<-done[name]
				if o := outcomes[at[name]]; o.Err != nil || o.Skipped != "" {
					outcomes[i].Skipped = name
					return
				}
			}
			places <- struct{}{}
			defer func() { <-places }()
			if ctx.Err() != nil {
				outcomes[i].Err = context.Cause(ctx)
				return
			}
			outcomes[i].Err = work(ctx, t)
		})
	}
	all.Wait()
	return outcomes
}

// waits says which of the targets each one waits for. Dependencies that are
// not among the targets are looked through.
func (c *Config) waits(targets []*Target, reverse bool) map[string][]string {
	chosen := map[string]bool{}
	for _, t := range targets {
		chosen[t.Name] = true
	}
	out := map[string][]string{}
	for _, t := range targets {
		seen := map[string]bool{t.Name: true}
		var look func(d *Definition)
		look = func(d *Definition) {
			for _, name := range c.needs(d, t.Env) {
				if seen[name] {
					continue
				}
				seen[name] = true
				if !chosen[name] {
					other, _ := c.Stack(name)
					look(other)
				} else if reverse {
					out[name] = append(out[name], t.Name)
				} else {
					out[t.Name] = append(out[t.Name], name)
				}
			}
		}
		look(t.Definition)
	}
	return out
}

// Reason says why a target has no result.
func (o Outcome) Reason() string {
	switch {
	case o.Skipped != "":
		return fmt.Sprintf("skipped: %s failed", o.Skipped)
	case o.Err != nil:
		return o.Err.Error()
	}
	return ""
}

// EachAlone calls work for every target as if none depended on another: what
// one comes to does not keep the others from their turn.
func (c *Config) EachAlone(ctx context.Context, targets []*Target, workers int, work func(ctx context.Context, t *Target) error) []Outcome {
	return turns(ctx, targets, workers, work, nil)
}
