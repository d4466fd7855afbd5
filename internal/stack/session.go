package stack

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// Session is an environment with the credentials for it: what every operation
// works with. Make one by [Connect].
type Session struct {
	Config *Config
	Env    *Environment
	Cloud  Cloud
	Caller Caller
	Deps
}

// Deps are what operations take from outside.
type Deps struct {
	Read   jsonnet.Read        // files, by paths as the user names them
	Getenv func(string) string // for parameters from the environment
	Origin Origin              // of what is planned, published and deployed
	// IsAncestor reports whether a commit is the one checked out or before it. It
	// is nil outside of a repository.
	IsAncestor func(ctx context.Context, commit string) (bool, error)
	Clock      Clock         // the zero value is the system's
	Random     func() string // six hexadecimal digits
	// Mask makes a function that hides values in a text, encoded ones too. It
	// may be nil: then values are hidden as they are.
	Mask  func(values []string) func(text string) string
	Notef func(format string, a ...any) // one line of progress; may be nil
}

// Origin is the same in a plan file.
type Origin = planfile.Origin

// Clock returns the time and waits.
type Clock struct {
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a number in [0, 1).
	Jitter func() float64
}

func (c Clock) orSystem() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Connect opens an environment and refuses (Denied) when the credentials are
// of another account.
func Connect(ctx context.Context, open Open, c *Config, e *Environment, w Deps) (*Session, error) {
	cloud, err := open(ctx, e.Access())
	if err != nil {
		return nil, fmt.Errorf("environment %s: %w", e.Name, err)
	}
	caller, err := cloud.Caller(ctx)
	if err != nil {
		return nil, fmt.Errorf("environment %s: sign in to AWS: %w", e.Name, err)
	}
	if caller.Account != e.Account {
		return nil, errs.E(errs.Denied, "environment %s is account %s, but these credentials are of account %s (%s); nothing was done",
			e.Name, e.Account, caller.Account, caller.ARN)
	}
	w.Clock = w.Clock.orSystem()
	if w.Random == nil {
		w.Random = randomDigits
	}
	if w.Getenv == nil {
		w.Getenv = func(string) string { return "" }
	}
	if w.Notef == nil {
		w.Notef = func(string, ...any) {}
	}
	return &Session{Config: c, Env: e, Cloud: cloud, Caller: caller, Deps: w}, nil
}

func randomDigits() string {
	var b [3]byte
	crand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
