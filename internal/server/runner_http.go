package server

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"refline/internal/errs"
)

// runnerCall is one request of a runner.
type runnerCall struct {
	ctx context.Context
	r   *http.Request
	w   http.ResponseWriter
	who RunnerIdentity
}

func (a *RunnerAPI) serve(w http.ResponseWriter, r *http.Request, f func(*runnerCall) (any, error)) {
	who, err := a.Authenticate(r)
	if err != nil {
		writeRunner(w, nil, err)
		return
	}
	out, err := f(&runnerCall{ctx: r.Context(), r: r, w: w, who: who})
	if out == (streamed{}) && err == nil {
		return
	}
	if err != nil && r.Context().Err() != nil {
		return // the runner did not wait for the answer
	}
	writeRunner(w, out, err)
}

// body reads at most most bytes of the request, unpacked.
func (c *runnerCall) body(most int64) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(c.w, c.r.Body, most+1)
	if c.r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, errs.E(errs.Invalid, "the body is not gzip: %w", err)
		}
		defer z.Close()
		in = z
	}
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), err == nil && int64(len(body)) > most:
		return nil, errs.E(errs.Invalid, "the body has more than %d bytes", most)
	case err != nil:
		return nil, errs.E(errs.Invalid, "the body cannot be read: %w", err)
	}
	return body, nil
}

func (c *runnerCall) decode(into any, most int64) error {
	body, err := c.body(most)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errs.E(errs.Invalid, "the body is not what %s %s takes: %w", c.r.Method, c.r.URL.Path, err)
	}
	return nil
}

// writeRunner answers a call.
func writeRunner(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if err != nil {
		p := asProblem(err)
		out, status = p, runnerStatus(p.Kind)
	}
	text, merr := json.Marshal(out)
	if merr != nil {
		http.Error(w, merr.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the runner asks again for what it does not get
}

func runnerStatus(k errs.Kind) int {
	switch k {
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Denied:
		return http.StatusForbidden
	case errs.Conflict:
		return http.StatusConflict
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
