package server

import (
	"context"
	"fmt"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/notify"
	"refline/internal/secret"
	"refline/internal/store"
)

// ByNotification names a rule.
type ByNotification struct {
	Name string `path:"name" doc:"name of the notification"`
}

// notifyRoutes are for rules of a project and, the same, of all projects.
func (s *Server) notifyRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/notifications", actRead, "list a project's notifications and those of all projects", func(ctx context.Context, in *ByProject) (*answer[[]api.Notification], error) {
		return s.listNotifications(ctx, in.Project)
	})
	op(s, a, "GET /api/v1/notifications", actRead, "list the notifications of all projects", func(ctx context.Context, _ *struct{}) (*answer[[]api.Notification], error) {
		return s.listNotifications(ctx, "")
	})
	op(s, a, "PUT /api/v1/projects/{project}/notifications/{name}", actAdmin, "make or change a project's notification", func(ctx context.Context, in *struct {
		ByProject
		ByNotification
		Body api.NotificationInput
	}) (*answer[api.Notification], error) {
		return s.setNotification(ctx, in.Project, in.Name, in.Body)
	})
	op(s, a, "PUT /api/v1/notifications/{name}", actAdmin, "make or change a notification of all projects", func(ctx context.Context, in *struct {
		ByNotification
		Body api.NotificationInput
	}) (*answer[api.Notification], error) {
		return s.setNotification(ctx, "", in.Name, in.Body)
	})
	op(s, a, "DELETE /api/v1/projects/{project}/notifications/{name}", actAdmin, "remove a project's notification", func(ctx context.Context, in *struct {
		ByProject
		ByNotification
	}) (*struct{}, error) {
		return nil, s.removeNotification(ctx, in.Project, in.Name)
	})
	op(s, a, "DELETE /api/v1/notifications/{name}", actAdmin, "remove a notification of all projects", func(ctx context.Context, in *ByNotification) (*struct{}, error) {
		return nil, s.removeNotification(ctx, "", in.Name)
	})
	op(s, a, "POST /api/v1/projects/{project}/notifications/{name}/test", actAdmin, "send a sample by a project's notification", func(ctx context.Context, in *struct {
		ByProject
		ByNotification
	}) (*struct{}, error) {
		return nil, s.testNotification(ctx, in.Project, in.Name)
	})
	op(s, a, "POST /api/v1/notifications/{name}/test", actAdmin, "send a sample by a notification of all projects", func(ctx context.Context, in *ByNotification) (*struct{}, error) {
		return nil, s.testNotification(ctx, "", in.Name)
	})
}

// openRule decrypts a rule.
func (s *Server) openRule(r store.NotifyRule) (notify.Rule, error) {
	out := notify.Rule{ID: r.ID, Name: r.Name, Kind: notify.RuleKind(r.Kind), Events: eventsOf(r.Events), Template: r.Template}
	text, err := s.secrets.keys().Open(r.Place(), r.Sealed)
	if err == nil {
		out.Settings, err = notify.DecodeSettings(text.Reveal())
	}
	return out, err
}

// notifyRule is a rule by its id, for [notify.Deliverer].
func (s *Server) notifyRule(ctx context.Context, id int64) (notify.Rule, error) {
	r, err := s.store.NotifyRule(ctx, id)
	if err != nil {
		return notify.Rule{}, err
	}
	return s.openRule(r)
}

func (s *Server) listNotifications(ctx context.Context, project string) (*answer[[]api.Notification], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.NotifyRules(ctx, id)
	out := []api.Notification{}
	for _, r := range rows {
		rule, err := s.openRule(r)
		if err != nil {
			return nil, err
		}
		name := ""
		if r.Project != 0 {
			name = project
		}
		out = append(out, wireNotification(name, r, rule))
	}
	return &answer[[]api.Notification]{out}, err
}

// wireNotification shows of an address only the host: the rest is a secret.
func wireNotification(project string, r store.NotifyRule, rule notify.Rule) api.Notification {
	n := api.Notification{Project: project, Name: r.Name, Kind: r.Kind, Events: r.Events, To: rule.Settings.To,
		Signed: rule.Settings.Secret.Len() > 0, Text: r.Template, Actor: r.Actor, Created: r.Created}
	if u, err := url.Parse(rule.Settings.URL.RevealString()); err == nil {
		n.Host = u.Host
	}
	return n
}

// ruleNamed finds a rule of a project, 0 for those of all; nil if there is none.
func (s *Server) ruleNamed(ctx context.Context, project int64, name string) (*store.NotifyRule, error) {
	rows, err := s.store.NotifyRules(ctx, project)
	for i := range rows {
		if rows[i].Name == name && rows[i].Project == project {
			return &rows[i], err
		}
	}
	return nil, err
}

func (s *Server) setNotification(ctx context.Context, project, name string, in api.NotificationInput) (*answer[api.Notification], error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return nil, err
	}
	if err := checkProjectName(name); err != nil || len(name) > 100 {
		return nil, errs.E(errs.Invalid, "%q cannot be the name of a notification: letters, digits, _ . + and -", name)
	}
	have, err := s.ruleNamed(ctx, id, name)
	if err != nil {
		return nil, err
	}
	row, rule := store.NotifyRule{Project: id, Name: name}, notify.Rule{Name: name, Events: []notify.Event{notify.EventFailure, notify.EventRecovery}}
	if have != nil {
		row = *have
		if rule, err = s.openRule(row); err != nil {
			return nil, err
		}
	} else {
		ids, err := s.store.NewIDs(ctx, "notify_rule", 1)
		if err != nil {
			return nil, err
		}
		row.ID, row.Created = ids[0], s.options.Now()
	}
	if err := changeRule(&rule, in); err != nil {
		return nil, err
	}
	rule.ID = row.ID
	if err := rule.Check(); err != nil {
		return nil, err
	}
	if rule.Kind == notify.RuleEmail && s.options.Mail == nil {
		return nil, errs.E(errs.Invalid, "no mail server is set: start the server with --smtp-host and --smtp-from")
	}
	if err := s.secrets.PutRule(ctx, Caller(ctx), &row, rule); err != nil {
		return nil, err
	}
	s.notices.forget()
	return &answer[api.Notification]{wireNotification(project, row, rule)}, nil
}

// changeRule takes over what is given. Another kind of address replaces the one
// before.
func changeRule(rule *notify.Rule, in api.NotificationInput) error {
	kinds := 0
	set := func(kind notify.RuleKind, given bool, settings notify.Settings) {
		if given {
			kinds++
			rule.Kind, rule.Settings = kind, settings
		}
	}
	address := func(text *string) notify.Settings {
		if text == nil {
			return notify.Settings{}
		}
		return notify.Settings{URL: secret.NewString(*text), Secret: rule.Settings.Secret}
	}
	set(notify.RuleWebhook, in.WebhookURL != nil, address(in.WebhookURL))
	set(notify.RuleSlack, in.SlackURL != nil, address(in.SlackURL))
	set(notify.RuleEmail, len(in.Email) > 0, notify.Settings{To: in.Email})
	if kinds > 1 {
		return errs.E(errs.Invalid, "a notification has one kind of address: a webhook, a chat or mail")
	}
	if rule.Kind == "" {
		return errs.E(errs.Invalid, "a new notification needs an address: --webhook-url-file, --slack-url-file or --email")
	}
	if in.Secret != nil {
		rule.Settings.Secret = secret.NewString(*in.Secret)
	}
	if in.Template != nil {
		rule.Template = *in.Template
	}
	if in.Events != nil {
		rule.Events = eventsOf(in.Events)
	}
	return nil
}

// PutRule writes a rule with its encrypted settings.
func (a *Access) PutRule(ctx context.Context, actor Actor, row *store.NotifyRule, rule notify.Rule) error {
	text, err := rule.Settings.Encode()
	if err != nil {
		return err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		row.Kind, row.Template, row.Actor, row.Events = string(rule.Kind), rule.Template, actor.String(), nil
		for _, e := range rule.Events {
			row.Events = append(row.Events, string(e))
		}
		row.Version++
		if row.Sealed, err = a.vault.Seal(row.Place(), secret.New(text)); err != nil {
			return err
		}
		t.add(actor, "notification.set", row.Project, fmt.Sprintf("notification %s by %s", row.Name, row.Kind), "")
		return tx.PutNotifyRule(ctx, *row)
	})
}

// findRule is ruleNamed with an error if there is none.
func (s *Server) findRule(ctx context.Context, project, name string) (store.NotifyRule, error) {
	id, err := s.projectID(ctx, project)
	if err != nil {
		return store.NotifyRule{}, err
	}
	r, err := s.ruleNamed(ctx, id, name)
	if err == nil && r == nil {
		err = errs.E(errs.NotFound, "there is no notification %q here; list them: refline notify list", name)
	}
	if err != nil {
		return store.NotifyRule{}, err
	}
	return *r, nil
}

func (s *Server) removeNotification(ctx context.Context, project, name string) error {
	r, err := s.findRule(ctx, project, name)
	if err != nil {
		return err
	}
	defer s.notices.forget()
	return s.secrets.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(Caller(ctx), "notification.remove", r.Project, "notification "+r.Name, "")
		return tx.RemoveNotifyRule(ctx, r.ID)
	})
}

func (s *Server) testNotification(ctx context.Context, project, name string) error {
	r, err := s.findRule(ctx, project, name)
	if err != nil {
		return err
	}
	rule, err := s.openRule(r)
	if err != nil {
		return err
	}
	return s.notices.Test(ctx, rule)
}
