package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/webhook"
)

// sendWebhook posts a message as JSON. With a secret it is signed in the form of
// https://www.standardwebhooks.com; webhook-id is the same each time that it is
// sent.
func (d *Deliverer) sendWebhook(ctx context.Context, rule Rule, p payload, id string) error {
	text, err := p.render(cmp.Or(rule.Template, defaultTemplate), func(s string) string { return s }, maxText)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"event": p.Event, "subject": p.subject(), "text": text, "run": p.Run})
	if err != nil {
		return err
	}
	headers := map[string]string{"Webhook-Id": id}
	if key := rule.Settings.Secret; key.Len() > 0 {
		headers = webhook.Sign(key.Reveal(), id, d.Now(), body)
	}
	return d.post(ctx, rule, body, headers)
}

// maxSlack is below what Slack and Mattermost take.
const maxSlack = 8000

// sendSlack posts a text to an incoming webhook of Slack, or of what takes the
// same. Texts from outside cannot make links or address people.
func (d *Deliverer) sendSlack(ctx context.Context, rule Rule, p payload) error {
	text, err := p.render(cmp.Or(rule.Template, slackTemplate), escapeSlack, maxSlack)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	return d.post(ctx, rule, body, nil)
}

// escapeSlack is https://docs.slack.dev/messaging/formatting-message-text/#escaping.
// Mattermost also reads @all, and Markdown.
func escapeSlack(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b", "|", "¦").Replace(text)
}

// post sends JSON. Errors name the host only: the path of a chat's webhook is a
// secret.
func (d *Deliverer) post(ctx context.Context, rule Rule, body []byte, headers map[string]string) error {
	address := rule.Settings.URL.RevealString()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errs.E(errs.Invalid, "the address of notification %q is not a URL", rule.Name)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "refline")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := d.Client.Do(req)
	if err != nil {
		return unanswered(ctx, rule, req.URL.Host, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 300 {
		return nil
	}
	a := &forge.Answer{Status: res.StatusCode, After: forge.RetryAfter(res.Header, d.Now())}
	kind, hint := errs.Invalid, ""
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusRequestTimeout:
		kind = errs.Unavailable
	case code == http.StatusConflict:
		kind = errs.Conflict
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		kind, hint = errs.Denied, "; its address or secret may have been replaced"
	case code == http.StatusNotFound, code == http.StatusGone:
		kind, hint = errs.NotFound, "; the webhook there may have been removed: set its new address (refline notify set)"
	case code < 400:
		hint = "; it has another address now: set that one (refline notify set)"
	}
	a.Text = fmt.Sprintf("notification %q: %s answers %d %s%s", rule.Name, req.URL.Host, res.StatusCode, http.StatusText(res.StatusCode), hint)
	return errs.E(kind, "%w", a)
}

func unanswered(ctx context.Context, rule Rule, host string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL
	}
	kind := errs.Unavailable
	if k := errs.KindOf(err); k == errs.Denied || k == errs.Invalid { // by the guard
		kind = k
		var redirect *url.Error
		if errors.As(err, &redirect) || strings.Contains(err.Error(), "redirects") {
			return errs.E(kind, "notification %q: %s redirects elsewhere; set the address that it leads to", rule.Name, host)
		}
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	return errs.E(kind, "notification %q: %s does not answer: %w", rule.Name, host, err)
}
