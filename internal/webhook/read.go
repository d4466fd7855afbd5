package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"refline/internal/errs"
)

// Bounds of what an event keeps of a delivery. GitLab cuts a merge request's
// description in its variable at 2,700 characters.
const (
	maxChanges     = 200
	maxLabels      = 100
	maxPushOptions = 100
	maxName        = 1000
	maxDescription = 2700
	maxComment     = 10_000
	maxID          = 200
)

// header names of a forge: of the event, and of the delivery id in order.
type headers struct {
	event    []string
	delivery []string
}

func headersOf(f Forge) headers {
	switch f {
	case GitLab:
		// The event's UUID changes with each retry; old servers send nothing else.
		return headers{[]string{"X-Gitlab-Event"}, []string{"Webhook-Id", "Idempotency-Key", "X-Gitlab-Event-Uuid"}}
	case GitHub:
		return headers{[]string{"X-Github-Event"}, []string{"X-Github-Delivery"}}
	case Gitea:
		return headers{[]string{"X-Gitea-Event"}, []string{"X-Gitea-Delivery"}}
	case Forgejo:
		return headers{[]string{"X-Forgejo-Event", "X-Gitea-Event"}, []string{"X-Forgejo-Delivery", "X-Gitea-Delivery"}}
	case Bitbucket:
		return headers{[]string{"X-Event-Key"}, []string{"X-Request-Uuid"}}
	case BitbucketDC:
		return headers{[]string{"X-Event-Key"}, []string{"X-Request-Id"}}
	}
	return headers{}
}

// DeliveryID is the id of a delivery, the same for each retry of it; "" if there
// is none.
func DeliveryID(f Forge, d Delivery) string {
	for _, header := range headersOf(f).delivery {
		id := d.Header.Get(header)
		switch {
		case id == "":
			continue
		case len(id) > maxID || !printable(id):
			sum := sha256.Sum256([]byte(id))
			return "sha256:" + hex.EncodeToString(sum[:])
		}
		return id
	}
	return ""
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// Read makes an event of a delivery that [Verify] has passed. Events that mean
// nothing here are of KindIgnored. The kind of an error is Invalid.
func Read(f Forge, d Delivery) (Event, error) {
	e := Event{Forge: f, Kind: KindIgnored, Delivery: DeliveryID(f, d)}
	for _, header := range headersOf(f).event {
		if e.Name == "" {
			var err error
			if e.Name, err = d.one(header); err != nil {
				return Event{}, errs.E(errs.Invalid, "%w", err)
			}
		}
	}
	if e.Name == "" {
		return Event{}, wrongForge(f, d)
	}
	e.Name = cut(e.Name, maxID)
	if f == BitbucketDC && e.Name == pingDC {
		e.Kind = KindTest
		return e, nil // its body is not signed
	}
	body, err := d.json(f)
	if err != nil {
		return Event{}, err
	}
	var read func(*Event, []byte) error
	switch f {
	case GitLab:
		read = readGitLab
	case GitHub:
		read = readGitHub
	case Gitea, Forgejo:
		read = readGitea
	case Bitbucket:
		read = readBitbucket
	case BitbucketDC:
		read = readBitbucketDC
	}
	if err := read(&e, body); err != nil {
		return Event{}, err
	}
	e.bound()
	return e, nil
}

// json returns the JSON of a delivery. GitHub signs forms as they are, so there a
// form can be read; those of others cannot be proven.
func (d Delivery) json(f Forge) ([]byte, error) {
	body := d.Body
	switch {
	case len(body) > MaxBody:
		return nil, tooLarge(len(body))
	case d.form() && f != GitHub:
		return nil, errs.E(errs.Invalid, "the delivery is a form: set the content type of the webhook to application/json")
	case d.form():
		values, err := url.ParseQuery(string(body))
		if err != nil || len(values["payload"]) != 1 {
			return nil, errs.E(errs.Invalid, "the delivery is a form without one payload: set the content type of the webhook to application/json")
		}
		body = []byte(values.Get("payload"))
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 {
		return nil, errs.E(errs.Invalid, "the delivery has no body: set the method of the webhook to POST and its content type to application/json")
	}
	if !utf8.Valid(body) {
		return nil, errs.E(errs.Invalid, "the body of the delivery is not UTF-8")
	}
	return body, nil
}

// decode reads JSON. Fields that are not asked for are skipped.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return errs.E(errs.Invalid, "the body of the delivery is not JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	case errors.As(err, &shape):
		return errs.E(errs.Invalid, "the body of the delivery is not as the forge documents it: %s is a %s", shape.Field, shape.Value)
	default:
		return errs.E(errs.Invalid, "the body of the delivery is not as the forge documents it")
	}
}

// wrongForge says whose delivery this seems to be.
func wrongForge(f Forge, d Delivery) error {
	for _, other := range []Forge{GitLab, Forgejo, Gitea, GitHub, Bitbucket} { // Gitea sends the headers of GitHub too
		if len(d.Header.Values(headersOf(other).event[0])) == 0 || headersOf(other).event[0] == headersOf(f).event[0] {
			continue
		}
		return errs.E(errs.Invalid, "this address expects deliveries of %s, but this one is of %s: copy the address of the right webhook", f, other)
	}
	if len(headersOf(f).event) == 0 {
		return errs.E(errs.Invalid, "unknown forge %q", f)
	}
	return errs.E(errs.Invalid, "the delivery has no header %s, so it is not an event of %s", headersOf(f).event[0], f)
}

// text is an id in JSON, which may be a number or a string.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*t = text(s)
		return nil
	}
	if string(data) != "null" {
		*t = text(data)
	}
	return nil
}

// id is the text; "" for 0, which is not an id.
func (t text) id() string {
	if t == "0" {
		return ""
	}
	return string(t)
}

// bound cuts long texts and drops invalid refs.
func (e *Event) bound() {
	for _, s := range []*string{
		&e.Project.ID, &e.Project.Path, &e.Project.OldPath, &e.Project.DefaultBranch,
		&e.Actor.ID, &e.Actor.Login, &e.Actor.Name, &e.Actor.Email,
	} {
		*s = cut(*s, maxName)
	}
	var kept []RefChange
	for _, c := range e.Changes {
		if len(kept) < maxChanges && refLike(c.Ref) {
			c.Before, c.After, c.Commit = objectID(c.Before), objectID(c.After), objectID(c.Commit)
			kept = append(kept, c)
		}
	}
	e.Changes = kept
	if m := e.MergeRequest; m != nil {
		m.bound()
	}
	if c := e.Comment; c != nil {
		c.ID, c.Body = cut(c.ID, maxName), cut(c.Body, maxComment)
	}
}

func (m *MergeRequest) bound() {
	m.Head, m.Previous = objectID(m.Head), objectID(m.Previous)
	for _, s := range []*string{&m.RawAction, &m.Ref, &m.Source, &m.Target, &m.SourcePath, &m.Title} {
		*s = cut(*s, maxName)
	}
	m.Description = cut(m.Description, maxDescription)
	m.Labels = m.Labels[:min(len(m.Labels), maxLabels)]
	for i := range m.Labels {
		m.Labels[i] = cut(m.Labels[i], maxName)
	}
	if m.Origin == "" {
		m.Origin = OriginUnknown
	}
}

// refLike reports whether a text may be a branch or tag.
func refLike(ref string) bool {
	return len(ref) <= maxName && printableRef(ref) && (strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/tags/"))
}

func printableRef(ref string) bool {
	return !strings.HasSuffix(ref, "/") && !strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError })
}

// objectID returns a text if it is an object id, of 12 characters at least.
func objectID(text string) string {
	if len(text) < 12 || len(text) > 64 || strings.Trim(text, "0123456789abcdef") != "" {
		return ""
	}
	return text
}

// cut shortens a text to so many bytes, between characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
