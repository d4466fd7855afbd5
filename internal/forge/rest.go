package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// requestTimeout is for one request with its answer.
const requestTimeout = time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 32 << 20

// rest is the API of a forge without a client library of its own: the few calls
// that are made of it go through one function, so that every forge's answers mean
// the same.
type rest struct {
	name   string // of the forge, in messages
	base   string // URL without a slash at its end
	client *http.Client
	sign   func(*http.Request) // shows who asks
	hidden []string            // texts that no message may have
	write  string              // what a token needs, for messages
}

// Answer is an answer other than the one that was asked for.
type Answer struct {
	Status int
	// After is when the forge wants to be asked again; 0 if it does not say.
	After time.Duration
	Text  string // for people
}

func (a *Answer) Error() string { return a.Text }

// Retry reports whether a call that failed may succeed later, and how long the
// forge asks to wait; 0 if it does not say.
func Retry(err error) (after time.Duration, again bool) {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0, false
	}
	var a *Answer
	if errors.As(err, &a) {
		return a.After, a.Status == http.StatusConflict || errs.KindOf(err) == errs.Unavailable
	}
	return 0, errs.KindOf(err) == errs.Unavailable || errors.Is(err, context.DeadlineExceeded)
}

// call sends in as JSON and reads the answer into out; both may be nil. doing is
// for messages.
func (r *rest) call(ctx context.Context, doing, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "refline")
	r.sign(req)
	res, err := r.client.Do(req)
	if err != nil {
		return nil, r.unanswered(ctx, doing, err)
	}
	defer res.Body.Close()
	answer := io.LimitReader(res.Body, maxAnswer)
	if res.StatusCode >= 300 {
		return nil, r.refused(doing, res, answer)
	}
	if out == nil {
		return res.Header, nil
	}
	if err := json.NewDecoder(answer).Decode(out); err != nil {
		return nil, errs.E(errs.Unavailable, "%s: the answer of %s cannot be read as JSON; is the URL that of the forge?", doing, r.name)
	}
	return res.Header, nil
}

func (r *rest) unanswered(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may be long
	}
	kind := errs.Unavailable
	if k := errs.KindOf(err); k == errs.Denied || k == errs.Invalid { // by the guard
		kind = k
	}
	return errs.E(kind, "%s: %s does not answer: %w", doing, r.name, err)
}

func (r *rest) refused(doing string, res *http.Response, body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, 64<<10))
	reason := r.redact(reasonOf(text))
	a := &Answer{Status: res.StatusCode, After: RetryAfter(res.Header, time.Now())}
	kind, hint := errs.Unavailable, ""
	limited := res.StatusCode == http.StatusForbidden && (a.After > 0 || strings.Contains(strings.ToLower(reason), "rate limit"))
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests || limited:
		hint = "; it limits how often it is asked, so this is tried again later"
	case code >= 500, code == http.StatusRequestTimeout:
	case code == http.StatusUnauthorized:
		kind, hint = errs.Denied, "; the token may have expired or been revoked"
	case code == http.StatusForbidden:
		kind, hint = errs.Denied, "; the token needs "+r.write
	case code == http.StatusNotFound, code == http.StatusGone:
		kind, hint = errs.NotFound, "; it is not there, or the token may not see it"
	case code == http.StatusConflict:
		kind = errs.Conflict
	case code < 400:
		kind, hint = errs.Invalid, "; it has another address now, set that one"
	default:
		kind = errs.Invalid
	}
	if reason != "" {
		reason = ": " + reason
	}
	a.Text = fmt.Sprintf("%s: %s answers %d %s%s%s", doing, r.name, res.StatusCode, http.StatusText(res.StatusCode), reason, hint)
	return errs.E(kind, "%w", a)
}

// redact takes secrets out of what a forge says.
func (r *rest) redact(text string) string {
	for _, s := range r.hidden {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[masked]")
		}
	}
	return text
}

// reasonOf finds the message in an answer, which each forge has elsewhere.
func reasonOf(text []byte) string {
	var in struct {
		Message any `json:"message"`
		Error   any `json:"error"`
		Errors  any `json:"errors"`
	}
	if json.Unmarshal(text, &in) != nil {
		return ""
	}
	var parts []string
	for _, v := range []any{in.Message, in.Error, in.Errors} {
		collectTexts(v, &parts, 0)
	}
	reason := strings.Join(parts, "; ")
	reason = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, reason)
	return cutText(reason, 300)
}

func collectTexts(v any, into *[]string, depth int) {
	if len(*into) > 5 || depth > 3 {
		return
	}
	switch v := v.(type) {
	case string:
		if v != "" {
			*into = append(*into, v)
		}
	case []any:
		for _, e := range v {
			collectTexts(e, into, depth+1)
		}
	case map[string]any:
		for _, name := range []string{"message", "detail", "code"} {
			if e, there := v[name]; there {
				collectTexts(e, into, depth+1)
			}
		}
	}
}

// maxAfter bounds what a forge may ask to wait.
const maxAfter = time.Hour

// RetryAfter reads when a server wants to be asked again: 0 if it does not say, an
// hour at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	after := time.Duration(0)
	if text := h.Get("Retry-After"); text != "" {
		if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
			after = time.Duration(seconds) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			after = at.Sub(now)
		}
	} else if h.Get("X-Ratelimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			after = time.Unix(at, 0).Sub(now)
		}
	}
	return min(max(after, 0), maxAfter)
}

// cutText shortens a text to so many characters and shows that it did.
func cutText(text string, most int) string {
	n := 0
	for i := range text {
		if n++; n == most {
			end := i
			if len([]rune(text[i:])) > 1 {
				return strings.TrimRight(text[:end], " ") + "…"
			}
			break
		}
	}
	return text
}
