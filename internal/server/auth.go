package server

import (
	"context"
	"fmt"
	"slices"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// action is what a route asks of its caller. The list is closed; roles are sets of
// these.
type action string

// The actions.
const (
	actPublic  action = "public"  // anyone, also without signing in
	actHook    action = "hook"    // a forge; the handler verifies the delivery
	actRead    action = "read"    // see projects, flows, runs, logs
	actRun     action = "run"     // start, play, retry and cancel runs
	actDeploy  action = "deploy"  // the same for protected refs, with their secrets
	actWrite   action = "write"   // projects, flows, schedules, runtimes
	actSecret  action = "secret"  // set and remove variables and keys; none is ever shown
	actAdmin   action = "admin"   // tokens, runners, settings, audit; and all above
	actRunner  action = "runner"  // a runner's calls
	actAttempt action = "attempt" // calls about one attempt, by its runner or itself
)

// scopes are the actions that a token for programs can have, from the least.
func scopes() []action {
	return []action{actRead, actRun, actDeploy, actWrite, actSecret, actAdmin}
}

// implied are the actions that come with one.
func (a action) implied() []action {
	switch a {
	case actRun, actSecret:
		return []action{actRead}
	case actDeploy, actWrite:
		return []action{actRead, actRun}
	case actAdmin:
		return []action{actRead, actRun, actDeploy, actWrite, actSecret}
	case actRunner:
		return []action{actAttempt}
	}
	return nil
}

// open reports whether a route with this action needs no actor.
func (a action) open() bool { return a == actPublic || a == actHook }

func (a action) known() bool {
	return a.open() || a == actRunner || a == actAttempt || slices.Contains(scopes(), a)
}

// ActorKind is what an actor is.
type ActorKind string

// The kinds of actors. The zero value is somebody who is not signed in.
const (
	ActorOwner   ActorKind = "owner"
	ActorToken   ActorKind = "token"
	ActorRunner  ActorKind = "runner"
	ActorAttempt ActorKind = "attempt"
	ActorSystem  ActorKind = "system" // the server itself: a schedule, a delivery of a forge
)

// Actor is who asks. Handlers see it by [Caller]; they do not check what it may,
// the route does.
type Actor struct {
	Kind    ActorKind
	ID      int64 // of the token, 0 for the system
	Name    string
	Project int64 // the only one that the actor sees; 0 for all
	Scopes  []action

	Attempt   int64    // of an attempt's token
	Runner    int64    // of a runner's token, 0 before its first session
	Tags      []string // of a runner's token
	Protected bool     // the runner takes jobs of protected refs only

	session bool // signed in by cookie
}

// String names the actor in runs and in the audit.
func (a Actor) String() string {
	switch a.Kind {
	case "":
		return "nobody"
	case ActorOwner:
		return "owner"
	case ActorSystem:
		return a.Name
	case ActorAttempt:
		return fmt.Sprintf("attempt %d", a.Attempt)
	}
	return string(a.Kind) + " " + a.Name
}

// may reports whether the actor has an action.
func (a Actor) may(want action) bool {
	if want.open() {
		return true
	}
	return slices.ContainsFunc(a.Scopes, func(have action) bool {
		return have == want || slices.Contains(have.implied(), want)
	})
}

// Sees reports whether the actor may know of a project. Handlers of lists leave
// out what it does not see.
func (a Actor) Sees(project int64) bool { return a.Project == 0 || a.Project == project }

// Level is how far a run that the actor starts is trusted with secrets.
func (a Actor) Level() secret.Level {
	switch {
	case a.Kind == ActorSystem, a.may(actDeploy):
		return secret.LevelProtected
	case a.may(actRun):
		return secret.LevelRun
	}
	return secret.LevelNone
}

// trustOf is the trust of runs that the caller starts of the project's own code.
func trustOf(ctx context.Context) secret.Trust { return secret.Trust{Level: Caller(ctx).Level()} }

// System is the server as an actor: "schedule nightly", "push by jane".
func System(name string) Actor { return Actor{Kind: ActorSystem, Name: name} }

// actorOfToken is the actor that a good token stands for.
func actorOfToken(t store.Token) Actor {
	a := Actor{ID: t.ID, Name: t.Name, Project: t.Project, Attempt: t.Attempt, Runner: t.Runner, Tags: t.Tags, Protected: t.Protected}
	switch t.Kind {
	case store.TokenOwner:
		a.Kind, a.Scopes = ActorOwner, []action{actAdmin}
	case store.TokenRunner:
		a.Kind, a.Scopes = ActorRunner, []action{actRunner}
	case store.TokenAttempt:
		a.Kind, a.Scopes = ActorAttempt, []action{actAttempt}
	case store.TokenAPI, store.TokenSession:
		a.Kind, a.session = ActorToken, t.Kind == store.TokenSession
		for _, s := range t.Scopes {
			if slices.Contains(scopes(), action(s)) {
				a.Scopes = append(a.Scopes, action(s))
			}
		}
		if a.session && slices.Contains(t.Scopes, ownerSession) {
			a.Kind, a.Scopes = ActorOwner, []action{actAdmin}
		}
	}
	return a
}

// ownerSession marks sessions of the owner. It is not a scope that a token can have.
const ownerSession = "owner"

// parseScopes reads the scopes of a new token.
func parseScopes(list []string) ([]action, error) {
	var out []action
	for _, s := range list {
		if !slices.Contains(scopes(), action(s)) {
			return nil, errs.E(errs.Invalid, "unknown scope %q: want some of %s", s, joinActions(scopes()))
		}
		if !slices.Contains(out, action(s)) {
			out = append(out, action(s))
		}
	}
	return out, nil
}

func joinActions(list []action) string {
	text := ""
	for i, a := range list {
		if i > 0 {
			text += ", "
		}
		text += string(a)
	}
	return text
}

type actorKey struct{}

// Caller returns who asks.
func Caller(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// actorOf names who asks, for runs and records.
func actorOf(ctx context.Context) string { return Caller(ctx).String() }

// WithActor returns a context in which an actor asks.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}
