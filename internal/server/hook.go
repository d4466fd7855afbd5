package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"time"

	"refline/internal/errs"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
	"refline/internal/webhook"
)

// hookRoutes are for forges, which have no token: a delivery proves by the secret of
// its webhook that it comes from there.
func (s *Server) hookRoutes() {
	s.router.plain("POST /hooks/{address}", need{action: actHook, body: webhook.MaxBody + 1}, s.takeDelivery)
}

// takeDelivery verifies a delivery, keeps it, and wants a look. Everything else
// happens after the answer: forges wait a few seconds at most, and stop sending
// after some failures.
func (s *Server) takeDelivery(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	trigger, err := s.store.TriggerAt(ctx, r.PathValue("address"))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return errs.E(errs.Invalid, "the delivery did not arrive whole: %w", err)
	}
	now := s.options.Now()
	kind, d := webhook.Forge(trigger.Forge), webhook.Delivery{Header: textproto.MIMEHeader(r.Header), Body: body}
	secrets, err := s.hookSecrets(trigger, now)
	if err != nil {
		return err
	}
	proof, err := webhook.Verify(kind, d, secrets, now)
	if err != nil {
		return err
	}
	if proof == webhook.UnsignedPing {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	event, err := webhook.Read(kind, d)
	if err != nil {
		return err
	}
	added, err := s.addDelivery(ctx, trigger, event, now)
	if err != nil {
		return err
	}
	if added && followsFrom(event) {
		s.looks.AskIn(trigger.Project, scheduler.LookDelay(event))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(map[string]any{"event": event.Kind, "duplicate": !added})
}

// hookSecrets are those that a delivery may be signed with: one, or two while the
// first is replaced.
func (s *Server) hookSecrets(g store.Trigger, now time.Time) ([][]byte, error) {
	current, err := s.secrets.keys().Open(g.Place(), g.Secret)
	if err != nil {
		return nil, err
	}
	list := [][]byte{current.Reveal()}
	if len(g.Previous.Data) > 0 && now.Before(g.PreviousUntil) {
		previous, err := s.secrets.keys().Open(g.PreviousPlace(), g.Previous)
		if err != nil {
			return nil, err
		}
		list = append(list, previous.Reveal())
	}
	return list, nil
}

// followsFrom reports whether an event may lead to pipelines.
func followsFrom(e webhook.Event) bool {
	return e.Kind == webhook.KindPush || e.Kind == webhook.KindMergeRequest || e.Kind == webhook.KindRepository
}

// addDelivery keeps a delivery and reports whether it is new.
func (s *Server) addDelivery(ctx context.Context, g store.Trigger, e webhook.Event, now time.Time) (added bool, err error) {
	ids, err := s.store.NewIDs(ctx, "delivery", 1)
	if err != nil {
		return false, err
	}
	d := store.Delivery{ID: ids[0], Trigger: g.ID, Project: g.Project, Delivery: e.Delivery, Kind: string(e.Kind), Name: e.Name, Received: now}
	if d.Delivery == "" {
		d.Delivery = fmt.Sprintf("without-id-%d", d.ID)
	}
	if !followsFrom(e) {
		d.Read = now
	} else if d.Event, err = json.Marshal(e); err != nil {
		return false, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) (err error) {
		added, err = tx.AddDelivery(ctx, d)
		return err
	})
	return added, err
}

// secretOverlap is how long the secret before is accepted beside a new one.
const secretOverlap = 24 * time.Hour

// HookInput says how a project's webhook is to be.
type HookInput struct {
	Forge         webhook.Forge
	ForgeURL      string
	TokenVariable string
	Secret        *secret.Value // nil: one is made
	Rotate        bool
}

// SetHook makes the webhook of a project, or changes it, and returns its secret: it
// is for the forge alone. made reports that the secret is new.
func (a *Access) SetHook(ctx context.Context, actor Actor, project int64, in HookInput) (g store.Trigger, text secret.Value, made bool, err error) {
	list, err := a.store.Triggers(ctx, project)
	if err != nil {
		return g, text, false, err
	}
	if len(list) > 0 {
		g = list[0]
	}
	fresh, replaced := g.ID == 0, g
	if fresh {
		ids, err := a.store.NewIDs(ctx, "trigger", 1)
		if err != nil {
			return g, text, false, err
		}
		g = store.Trigger{ID: ids[0], Project: project, Address: webhook.NewSecret()}
	}
	g.Forge, g.ForgeURL, g.TokenVariable = string(in.Forge), in.ForgeURL, in.TokenVariable
	if made = fresh || in.Rotate || in.Secret != nil; made {
		text = secret.NewString(webhook.NewSecret())
		if in.Secret != nil {
			text = *in.Secret
		}
		if err := webhook.CheckSecret(in.Forge, text.Reveal()); err != nil {
			return g, text, false, err
		}
	}
	// A key that is rotated meanwhile would be gone when the secret is written.
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !made {
		if text, err = a.vault.Open(g.Place(), g.Secret); err != nil {
			return g, text, false, err
		}
	}
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		if made {
			g.Version = replaced.Version + 1
			if !fresh {
				g.Previous, g.PreviousUntil = replaced.Secret, t.now.Add(secretOverlap)
			}
			if g.Secret, err = a.vault.Seal(g.Place(), text); err != nil {
				return err
			}
		}
		action := "hook.change"
		if fresh {
			action, g.Created = "hook.create", t.now
		}
		t.add(actor, action, project, fmt.Sprintf("webhook %d of %s", g.ID, g.Forge), map[bool]string{true: "new secret"}[made])
		if err := tx.PutTrigger(ctx, g); err != nil {
			return err
		}
		return tx.PollNow(ctx, project, t.now)
	})
	return g, text, made, err
}

// RemoveHook removes the webhooks of a project.
func (a *Access) RemoveHook(ctx context.Context, actor Actor, project int64) error {
	list, err := a.store.Triggers(ctx, project)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errs.E(errs.NotFound, "the project has no webhook")
	}
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		for _, g := range list {
			if err := tx.RemoveTrigger(ctx, g.ID); err != nil {
				return err
			}
		}
		t.add(actor, "hook.remove", project, "webhook of "+list[0].Forge, "")
		return tx.PollNow(ctx, project, t.now)
	})
}
