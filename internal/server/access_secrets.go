package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/credential"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
)

// Secrets are what an attempt gets.
type Secrets struct {
	// Variables are those of the project and the server, with their values.
	Variables []secret.Variable
	// Keys are for the job's agent. They never become variables.
	Keys []NamedKey
}

// NamedKey is a deploy key and its name.
type NamedKey struct {
	Name string
	credential.Key
}

// Attempt is an attempt that is being sent to its runner.
type Attempt struct {
	Fence   int64
	Run     int64
	Job     string
	Project int64
	Runner  string // its name, for the audit
	Again   bool   // it has them already; nothing is sent
	secret.Request
}

// ForAttempt returns what an attempt may have by the rule of [secret.Request], and
// writes that it was given to the audit before it returns. It is asked anew for
// each attempt.
func (a *Access) ForAttempt(ctx context.Context, attempt Attempt) (Secrets, error) {
	var out Secrets
	if !attempt.Any() {
		return out, nil
	}
	rows, err := a.rows(ctx, attempt.Project)
	if err != nil {
		return out, err
	}
	fromServer, fromProject := attempt.Variables(rows.server, rows.project)
	var names []string
	var variables, keys []int64
	for _, part := range []struct {
		list []secret.Variable
		of   int64
	}{{fromServer, 0}, {fromProject, attempt.Project}} {
		for _, v := range part.list {
			row := rows.of(part.of, v.Name, v.Environment)
			if v.Value, err = a.keys().Open(row.Place(), row.Sealed); err != nil {
				return Secrets{}, err
			}
			out.Variables = append(out.Variables, v)
			names, variables = append(names, v.Name), append(variables, row.ID)
		}
	}
	// Keys of the server reach repositories for checkouts; jobs do not get them.
	list, err := a.store.Keys(ctx, attempt.Project)
	if err != nil {
		return Secrets{}, err
	}
	for _, k := range list {
		if k.Project == 0 || !attempt.Allows(k.Protected, k.Environment) {
			continue
		}
		key, err := a.open(k)
		if err != nil {
			return Secrets{}, err
		}
		out.Keys = append(out.Keys, NamedKey{k.Name, key})
		names, keys = append(names, "key "+k.Name), append(keys, k.ID)
	}
	if len(names) == 0 || attempt.Again {
		return out, nil
	}
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(System("dispatch"), "secret.send", attempt.Project,
			fmt.Sprintf("attempt %d of job %s in run %d, to runner %s", attempt.Fence, attempt.Job, attempt.Run, attempt.Runner), strings.Join(names, ", "))
		if err := tx.TouchVariables(ctx, variables, t.now); err != nil {
			return err
		}
		return tx.TouchKeys(ctx, keys, t.now)
	})
	if err != nil {
		return Secrets{}, err
	}
	return out, nil
}

// stillProtected reports whether a run's ref is protected by the project's rules of
// now: a retry must not get what its ref has lost.
func stillProtected(p store.Project, f definition.RunFacts) bool {
	rules := scheduler.ProtectedRefs(p)
	if !rules.Only {
		rules.Branches = []string{f.Facts.DefaultBranch}
	}
	return rules.Protects(f.Ref())
}

// ForCompile returns the variables that a pipeline of a project is compiled with:
// those that its jobs may have, for all environments. Masked ones have no value:
// a compiled pipeline is kept and shown.
func (a *Access) ForCompile(ctx context.Context, project int64, r secret.Request) ([]secret.Variable, error) {
	out := []secret.Variable{}
	if !r.Any() {
		return out, nil
	}
	rows, err := a.rows(ctx, project)
	if err != nil {
		return nil, err
	}
	add := func(of int64, list []secret.Variable) error {
		own := out
		for _, v := range list {
			r.Environment = v.Environment // which environment is up to each job
			if !r.Allows(v.Protected, v.Environment) || slices.ContainsFunc(own, func(have secret.Variable) bool { return have.Name == v.Name }) {
				continue
			}
			if row := rows.of(of, v.Name, v.Environment); !v.Masked {
				if v.Value, err = a.keys().Open(row.Place(), row.Sealed); err != nil {
					return err
				}
			}
			out = append(out, v)
		}
		return nil
	}
	if err := add(project, rows.project); err != nil {
		return nil, err
	}
	return out, add(0, rows.server)
}

// variableRows are the variables of a project and those of the server.
type variableRows struct {
	server, project []secret.Variable
	all             []store.Variable
}

func (a *Access) rows(ctx context.Context, project int64) (variableRows, error) {
	var out variableRows
	var err error
	if out.all, err = a.store.Variables(ctx, project, 0); err != nil {
		return out, err
	}
	for _, v := range out.all {
		if v.Project == 0 {
			out.server = append(out.server, v.Variable)
		} else {
			out.project = append(out.project, v.Variable)
		}
	}
	return out, nil
}

// of returns the row of a variable, an empty one if there is none.
func (r variableRows) of(project int64, name, environment string) store.Variable {
	for _, row := range r.all {
		if row.Project == project && row.Name == name && row.Environment == environment {
			return row
		}
	}
	return store.Variable{}
}

// open decrypts a deploy key.
func (a *Access) open(k store.Key) (credential.Key, error) {
	text, err := a.keys().Open(k.Place(), k.Sealed)
	if err != nil {
		return credential.Key{}, err
	}
	return credential.Key{Text: text.Reveal(), KnownHosts: []byte(k.KnownHosts), Hosts: k.Hosts, Repos: k.Repos}, nil
}

// CheckoutKey returns the deploy key with which a project's repository is reached:
// its own of that name, else the server's.
func (a *Access) CheckoutKey(ctx context.Context, project int64, name string) (NamedKey, error) {
	k, err := a.key(ctx, name, project, 0)
	if err != nil {
		return NamedKey{}, err
	}
	key, err := a.open(k)
	if err != nil {
		return NamedKey{}, err
	}
	return NamedKey{k.Name, key}, a.noteCheckout(ctx, project, "key "+name, k.Used, func(tx *store.Tx, now time.Time) error {
		return tx.TouchKeys(ctx, []int64{k.ID}, now)
	})
}

// CheckoutVariable returns the value of a variable with which a project's
// repository is reached, such as a token: the project's for all environments, else
// the server's.
func (a *Access) CheckoutVariable(ctx context.Context, project int64, name string) (secret.Value, error) {
	rows, err := a.rows(ctx, project)
	if err != nil {
		return secret.Value{}, err
	}
	v := rows.of(project, name, secret.AnyEnvironment)
	if v.ID == 0 {
		v = rows.of(0, name, secret.AnyEnvironment)
	}
	if v.ID == 0 {
		where, flag, err := a.ofProject(ctx, project)
		return secret.Value{}, cmp.Or(err, errs.E(errs.NotFound, "there is no variable %s for all environments of %s or of the server, which the repository is to be reached with; set it: refline var set %s --server%s", name, where, name, flag))
	}
	value, err := a.keys().Open(v.Place(), v.Sealed)
	if err != nil {
		return secret.Value{}, err
	}
	return value, a.noteCheckout(ctx, project, "variable "+name, v.Used, func(tx *store.Tx, now time.Time) error {
		return tx.TouchVariables(ctx, []int64{v.ID}, now)
	})
}

// noteCheckout writes to the audit that the server used a secret itself, once an
// hour: it looks at repositories all the time.
func (a *Access) noteCheckout(ctx context.Context, project int64, object string, used time.Time, touch func(*store.Tx, time.Time) error) error {
	if a.now().Sub(used) <= time.Hour {
		return nil
	}
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(System("checkout"), "secret.use", project, object, "")
		return touch(tx, t.now)
	})
}
