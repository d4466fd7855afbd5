package notify

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
)

// Event is a change of a run that people are notified of.
type Event string

// The events.
const (
	EventFailure  Event = "failure"
	EventRecovery Event = "recovery" // the first success after a failure, of a flow at a ref
	EventWaiting  Event = "waiting"  // for a person
)

// Events lists all events.
func Events() []Event { return []Event{EventFailure, EventRecovery, EventWaiting} }

// EventOf returns the event that the state of a run is, "" for none.
func EventOf(r Run) Event {
	switch {
	case r.Status == "failed":
		return EventFailure
	case r.Status == "success" && r.Previous == "failed":
		return EventRecovery
	case r.Status == "manual":
		return EventWaiting
	}
	return ""
}

// RuleKind is how a rule reaches people.
type RuleKind string

// The kinds of rules.
const (
	RuleWebhook RuleKind = "webhook"
	RuleSlack   RuleKind = "slack" // and what takes the same: Mattermost, Rocket.Chat, Discord with /slack
	RuleEmail   RuleKind = "email"
)

// Rule says who is notified of which events.
type Rule struct {
	ID       int64
	Name     string
	Kind     RuleKind
	Events   []Event
	Template string // "" for the default
	Settings Settings
}

// Settings are kept encrypted: the URL of a chat's webhook is a secret.
type Settings struct {
	URL    secret.Value // of a webhook or chat
	Secret secret.Value // signs the messages to a webhook; may be empty
	To     []string     // addresses of mail
}

// settingsText is how Settings are kept.
type settingsText struct {
	URL    string   `json:"url,omitempty"`
	Secret string   `json:"secret,omitempty"`
	To     []string `json:"to,omitempty"`
}

// Encode returns the settings as bytes to be encrypted.
func (s Settings) Encode() ([]byte, error) {
	return json.Marshal(settingsText{s.URL.RevealString(), s.Secret.RevealString(), s.To})
}

// DecodeSettings reads what Encode returned.
func DecodeSettings(text []byte) (Settings, error) {
	var in settingsText
	if err := json.Unmarshal(text, &in); err != nil {
		return Settings{}, errs.E(errs.Internal, "the settings of the notification cannot be read")
	}
	return Settings{secret.NewString(in.URL), secret.NewString(in.Secret), in.To}, nil
}

const maxRecipients = 50

// Check returns an error of kind Invalid unless the rule can be used.
func (r Rule) Check() error {
	if len(r.Events) == 0 {
		return errs.E(errs.Invalid, "no event is chosen: give one or more of failure, recovery, waiting")
	}
	for _, e := range r.Events {
		if !slices.Contains(Events(), e) {
			return errs.E(errs.Invalid, "unknown event %q: it is failure, recovery or waiting", e)
		}
	}
	switch r.Kind {
	case RuleWebhook, RuleSlack:
		u, err := url.Parse(r.Settings.URL.RevealString())
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
			return errs.E(errs.Invalid, "the address of the %s is not a URL like https://host/path", r.Kind)
		}
		if u.User != nil {
			return errs.E(errs.Invalid, "the address of the %s has a password in it; use an address with a secret path, or --secret", r.Kind)
		}
	case RuleEmail:
		if n := len(r.Settings.To); n == 0 || n > maxRecipients {
			return errs.E(errs.Invalid, "%d addresses are given: mail goes to 1 to %d", n, maxRecipients)
		}
		for _, to := range r.Settings.To {
			if _, err := mail.ParseAddress(to); err != nil {
				return errs.E(errs.Invalid, "%q is not an e-mail address", to)
			}
		}
	default:
		return errs.E(errs.Invalid, "unknown kind of notification %q: it is webhook, slack or email", r.Kind)
	}
	return CheckTemplate(r.Template)
}

// payload is the body of a rule's message until it is rendered.
type payload struct {
	Rule  int64 `json:"rule"`
	Event Event `json:"event"`
	Run   Run   `json:"run"`
}

// WantEvents returns the messages that follow from the state of a run by rules:
// one for each rule that wants its event. Another state of the same run makes
// another message, the same one does not.
func WantEvents(r Run, rules []Rule, now time.Time) ([]Message, error) {
	r = r.bounded()
	event := EventOf(r)
	if event == "" {
		return nil, nil
	}
	var list []Message
	for _, rule := range rules {
		if !slices.Contains(rule.Events, event) {
			continue
		}
		target := fmt.Sprintf("rule %d run %d %s", rule.ID, r.ID, event)
		if event == EventWaiting { // a run may wait at several places
			target += " " + digest([]byte(names(r.Waiting)))
		}
		m, err := newMessage(r, string(rule.Kind), target, payload{rule.ID, event, r}, now)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// subject is one line that says what happened.
func (p payload) subject() string {
	what := map[Event]string{EventFailure: "failed", EventRecovery: "works again", EventWaiting: "waits for a person"}[p.Event]
	if p.Event == EventFailure && p.Run.SystemError {
		what = "could not run"
	}
	name := p.Run.Project
	if p.Run.Flow != "" {
		name += "/" + p.Run.Flow
	}
	return cut(oneLine(fmt.Sprintf("%s #%d %s on %s", name, p.Run.Number, what, shortRef(p.Run))), 200)
}

func shortRef(r Run) string {
	if r.MergeRequest != 0 {
		return fmt.Sprintf("merge request %d", r.MergeRequest)
	}
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if short, is := strings.CutPrefix(r.Ref, prefix); is {
			return short
		}
	}
	return r.Ref
}

// oneLine replaces what could end a line or a header.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}
