package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// RunnerClient speaks the runner protocol with a server. It is safe for concurrent
// use. Its errors have a kind: Unavailable if the server could not be reached or
// may answer later. A *[RunnerProblem] in their chain has what a runner acts on.
type RunnerClient struct {
	URL   string        // of the server, with its base path
	Token func() string // of the runner; may be nil
	HTTP  *http.Client
	// Plain leaves bodies uncompressed: on a connection in memory that only costs.
	Plain bool
	// Timeout bounds one call besides what a poll is held; 0 is 30 seconds.
	Timeout time.Duration
	// Attempt is the only one that the token is for; 0: it is a runner's.
	Attempt int64
}

// MaxHold is how long a server holds a poll at most.
const MaxHold = 20 * time.Second

// OpenSession begins or resumes a lease.
func (c *RunnerClient) OpenSession(ctx context.Context, req RunnerSessionRequest) (s RunnerSession, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: "/sessions", in: req, out: &s})
	return s, err
}

// CloseSession ends a lease with all attempts that are left.
func (c *RunnerClient) CloseSession(ctx context.Context, session int64) error {
	return c.call(ctx, call{method: http.MethodDelete, path: "/sessions/" + strconv.FormatInt(session, 10), session: session})
}

// Poll says what the runner has and returns what it should have.
func (c *RunnerClient) Poll(ctx context.Context, req PollRequest) (a PollAnswer, err error) {
	hold := MaxHold
	if req.HoldMS > 0 {
		hold = time.Duration(req.HoldMS) * time.Millisecond
	}
	path := "/poll"
	if c.Attempt != 0 {
		path = attemptPath(c.Attempt) + "/poll"
	}
	err = c.call(ctx, call{method: http.MethodPost, path: path, session: req.Session, in: req, out: &a, extra: hold})
	return a, err
}

// Job returns what the attempt needs. It may be asked for again.
func (c *RunnerClient) Job(ctx context.Context, session, fence int64) (spec JobSpec, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: attemptPath(fence) + "/job", session: session, out: &spec, most: MaxRunnerJob})
	return spec, err
}

// AppendLog sends bytes of a log, at most [MaxLogChunk], at their offset.
func (c *RunnerClient) AppendLog(ctx context.Context, session, fence, offset int64, data []byte) (a LogAnswer, err error) {
	path := attemptPath(fence) + "/log?offset=" + strconv.FormatInt(offset, 10)
	err = c.call(ctx, call{method: http.MethodPatch, path: path, session: session, raw: data, out: &a})
	return a, err
}

// ClearLog throws away what the server has of a log.
func (c *RunnerClient) ClearLog(ctx context.Context, session, fence int64) error {
	return c.call(ctx, call{method: http.MethodDelete, path: attemptPath(fence) + "/log", session: session})
}

// AppendEvents sends lines of JSON, the first of which is the event seq.
func (c *RunnerClient) AppendEvents(ctx context.Context, session, fence, seq int64, lines []byte) (a EventsAnswer, err error) {
	path := attemptPath(fence) + "/events?seq=" + strconv.FormatInt(seq, 10)
	err = c.call(ctx, call{method: http.MethodPost, path: path, session: session, raw: lines, out: &a})
	return a, err
}

// Finish ends an attempt. The same result again gets the same answer.
func (c *RunnerClient) Finish(ctx context.Context, fence int64, req FinishRequest) (a PollAnswer, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: attemptPath(fence) + "/finish", session: req.Poll.Session, in: req, out: &a})
	return a, err
}

func attemptPath(fence int64) string { return "/attempts/" + strconv.FormatInt(fence, 10) }

// call is one request.
type call struct {
	method, path string
	session      int64
	in           any    // sent as JSON
	raw          []byte // or sent as it is
	out          any
	most         int64         // bytes of the answer
	extra        time.Duration // beside the timeout of any call
}

func (c *RunnerClient) timeout() time.Duration {
	if c.Timeout <= 0 {
		return 30 * time.Second
	}
	return c.Timeout
}

// packFrom is the size from which on a body is worth compressing.
const packFrom = 1 << 10

func (c *RunnerClient) call(ctx context.Context, k call) error {
	timeout := c.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout+k.extra, errs.E(errs.Unavailable, "the server at %s does not answer within %s", c.URL, timeout+k.extra))
	defer cancel()
	req, err := c.request(ctx, k)
	if err != nil {
		return err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	most := k.most
	if most == 0 {
		most = MaxRunnerBody
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	switch {
	case int64(len(body)) > most:
		return errs.E(errs.Invalid, "%s %s: the server's answer is larger than %d bytes", k.method, k.path, most)
	case res.StatusCode/100 != 2:
		return c.refused(res, body)
	case k.out == nil:
		return nil
	}
	if err := json.Unmarshal(body, k.out); err != nil {
		return errs.E(errs.Unavailable, "%s %s: the answer of %s is not one of a Refline server: %w", k.method, k.path, c.URL, err)
	}
	return nil
}

// unreachable is the error of a connection; the cause of ctx says more than it.
func (c *RunnerClient) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return errs.E(errs.Unavailable, "the server cannot be reached: %w", err)
}

func (c *RunnerClient) request(ctx context.Context, k call) (*http.Request, error) {
	body, kind := k.raw, "application/octet-stream"
	if k.in != nil {
		var err error
		if body, err = json.Marshal(k.in); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	packed := !c.Plain && len(body) >= packFrom
	if packed {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, strings.TrimRight(c.URL, "/")+RunnerPath+k.path, bytes.NewReader(body))
	if err != nil {
		return nil, errs.E(errs.Invalid, "the address of the server: %w", err)
	}
	req.Header.Set("Content-Type", kind)
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if k.session != 0 {
		req.Header.Set(HeaderSession, strconv.FormatInt(k.session, 10))
	}
	if c.Token != nil {
		req.Header.Set("Authorization", "Bearer "+c.Token())
	}
	return req, nil
}

// refused reads the problem that the server answers with. What is not one comes
// from something between it and us, such as a proxy.
func (c *RunnerClient) refused(res *http.Response, body []byte) error {
	var p RunnerProblem
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return errs.E(p.Kind, "%w", &p)
	}
	kind := errs.Invalid
	switch {
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		kind = errs.Unavailable
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		kind = errs.Denied
	case res.StatusCode == http.StatusNotFound:
		kind = errs.NotFound
	}
	return errs.E(kind, "%s answers %s, which is not an answer of a Refline server; check its URL and any proxy before it", c.URL, res.Status)
}

// ProblemCode returns the code of an error of a [RunnerClient], "" for none.
func ProblemCode(err error) string {
	if p, ok := errors.AsType[*RunnerProblem](err); ok {
		return p.Code
	}
	return ""
}

// GapAt returns where to go on after a gap.
func GapAt(err error) (next int64, ok bool) {
	p, ok := errors.AsType[*RunnerProblem](err)
	if !ok || p.Code != CodeGap {
		return 0, false
	}
	return p.Next, true
}
