package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/forge"
)

// Deliverer sends what is wanted.
type Deliverer struct {
	Store Store
	// Repository opens the forge of a project. NotFound if it has none to show
	// states at: then nothing is sent.
	Repository func(ctx context.Context, project int64) (forge.Repository, error)
	// Rule returns a rule with its settings. NotFound if it was removed.
	Rule func(ctx context.Context, id int64) (Rule, error)
	// Client is for webhooks and chats; its connections are guarded.
	Client *http.Client
	Mail   *MailServer // nil: no mail
	Now    func() time.Time
}

// How often a message is tried: over about 12 hours.
const (
	maxAttempts = 20
	firstDelay  = 5 * time.Second
	maxDelay    = time.Hour
	batch       = 50
	atOnce      = 4
	timeout     = time.Minute
)

// Pass sends all messages that are due, each in its own time, and returns when the
// next one is due; zero if none waits. It returns an error only if the store has
// one.
func (d *Deliverer) Pass(ctx context.Context) (next time.Time, err error) {
	due, err := d.Store.Due(ctx, d.Now(), batch)
	if err != nil {
		return time.Time{}, err
	}
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		failed error
		space  = make(chan struct{}, atOnce)
	)
	for _, m := range due {
		space <- struct{}{}
		wait.Go(func() {
			defer func() { <-space }()
			done := d.attempt(ctx, m)
			if ctx.Err() != nil {
				return // it stays due
			}
			if err := d.Store.Finish(ctx, done); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err
			}
		})
	}
	wait.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		return time.Time{}, failed
	}
	return d.Store.Next(ctx)
}

// attempt sends a message once and returns what came of it.
func (d *Deliverer) attempt(ctx context.Context, m Message) Message {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	want := digest(m.Body)
	var err error
	if m.Sent != want {
		m.Remote, err = d.send(ctx, m)
	}
	m.Updated = d.Now()
	m.Next = m.Updated
	if err == nil {
		m.State, m.Sent, m.Attempts, m.Error = StateSent, want, 0, ""
		return m
	}
	after, again := forge.Retry(err)
	m.Attempts++
	m.Error = cut(err.Error(), 500)
	if !again || m.Attempts >= maxAttempts {
		m.State = StateStopped
		return m
	}
	m.State = StateWaiting
	m.Next = m.Updated.Add(max(after, backOff(m.ID, m.Attempts)))
	return m
}

// backOff grows from seconds to an hour. Messages that failed together are tried
// apart, by up to a quarter.
func backOff(id int64, attempts int) time.Duration {
	delay := maxDelay
	if attempts < 12 {
		delay = min(firstDelay<<(attempts-1), maxDelay)
	}
	spread := uint64(id) * 0x9e3779b97f4a7c15 >> 54 // 0 to 1023
	return delay + delay*time.Duration(spread)/4096
}

// send sends a message and returns the id at its target.
func (d *Deliverer) send(ctx context.Context, m Message) (remote string, err error) {
	switch m.Kind {
	case KindStatus:
		var s forge.Status
		r, err := d.open(ctx, m, &s)
		if err != nil {
			return m.Remote, err
		}
		return m.Remote, r.SetStatus(ctx, s)
	case KindComment:
		var c forge.Comment
		r, err := d.open(ctx, m, &c)
		if err != nil {
			return m.Remote, err
		}
		c.ID = m.Remote
		id, err := r.PutComment(ctx, c)
		if err != nil {
			return m.Remote, err
		}
		return id, nil
	}
	var p payload
	if err := json.Unmarshal(m.Body, &p); err != nil {
		return "", errs.E(errs.Internal, "the message cannot be read: %w", err)
	}
	rule, err := d.Rule(ctx, p.Rule)
	if err != nil {
		return "", err
	}
	return "", d.sendByRule(ctx, rule, p, "refline-"+digest(fmt.Appendf(nil, "%d %s %s", m.Project, m.Target, m.Body)))
}

// open reads a body and opens the forge that it is for.
func (d *Deliverer) open(ctx context.Context, m Message, body any) (forge.Repository, error) {
	if err := json.Unmarshal(m.Body, body); err != nil {
		return nil, errs.E(errs.Internal, "the message cannot be read: %w", err)
	}
	return d.Repository(ctx, m.Project)
}

// sendByRule sends a message of a rule. id is the same each time that it is tried.
func (d *Deliverer) sendByRule(ctx context.Context, rule Rule, p payload, id string) error {
	switch rule.Kind {
	case RuleWebhook:
		return d.sendWebhook(ctx, rule, p, id)
	case RuleSlack:
		return d.sendSlack(ctx, rule, p)
	case RuleEmail:
		return d.sendMail(ctx, rule, p, id)
	}
	return errs.E(errs.Invalid, "unknown kind of notification %q", rule.Kind)
}

// Test sends a sample by a rule at once and returns what came of it.
func (d *Deliverer) Test(ctx context.Context, rule Rule) error {
	if err := rule.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := payload{Rule: rule.ID, Event: rule.Events[0], Run: sampleRun()}
	switch p.Event {
	case EventRecovery:
		p.Run.Status, p.Run.Previous, p.Run.Failed, p.Run.Waiting = "success", "failed", nil, nil
	case EventWaiting:
		p.Run.Status, p.Run.Failed = "manual", nil
	default:
		p.Run.Waiting = nil
	}
	return d.sendByRule(ctx, rule, p, "refline-test-"+digest(fmt.Appendf(nil, "%d %d", rule.ID, d.Now().UnixNano())))
}
