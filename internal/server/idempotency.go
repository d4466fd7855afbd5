package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/store"
)

// A POST with an Idempotency-Key happens once: the same request again within a day
// gets the answer that the first had. Another request with the key is refused.

const (
	idempotencyHeader = "Idempotency-Key"
	idempotencyLife   = 24 * time.Hour
	idempotencyStale  = 5 * time.Minute // longer than any such request takes
)

type requestKey struct{}

// keyOfRequest is a key for what a request makes, unique to its actor; "" without an
// Idempotency-Key. It keeps even a crash between making and answering from making it
// twice.
func keyOfRequest(ctx context.Context) string {
	key, _ := ctx.Value(requestKey{}).(string)
	return key
}

// once answers a request with a key from what is kept, or keeps its answer.
func (r *router) once(pattern string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		key := q.Header.Get(idempotencyHeader)
		if q.Method != http.MethodPost || key == "" {
			h(w, q)
			return
		}
		if err := r.serveOnce(w, q, key, pattern, h); err != nil {
			writeProblem(w, q, err)
		}
	}
}

func (r *router) serveOnce(w http.ResponseWriter, q *http.Request, key, pattern string, h http.HandlerFunc) error {
	switch {
	case len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }):
		return errs.E(errs.Invalid, "the %s is at most 255 visible characters without spaces", idempotencyHeader)
	case strings.HasSuffix(pattern, "/tokens"), strings.HasSuffix(pattern, "/sign-in-links"):
		return errs.E(errs.Invalid, "%s is not possible here: the answer holds a secret, which is not kept", idempotencyHeader)
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return errs.E(errs.Invalid, "the body cannot be read: %w", err)
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	actor := Caller(q.Context())
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", q.Method, q.URL.RequestURI(), body))
	now := r.auth.now()
	row := store.Request{Actor: fmt.Sprintf("%s %d", actor.Kind, actor.ID), Key: key, SHA256: hex.EncodeToString(sum[:]), Created: now}
	ctx := q.Context()
	var before *store.Request
	err = r.auth.store.Update(ctx, func(tx *store.Tx) error {
		before, err = tx.BeginRequest(ctx, row, now.Add(-idempotencyStale), now.Add(-idempotencyLife))
		return err
	})
	switch {
	case err != nil:
		return err
	case before == nil:
		return r.serveFirst(w, q, row, h)
	case before.SHA256 != row.SHA256:
		return errs.E(errs.Conflict, "the %s was used for another request; take a new key for a new request", idempotencyHeader)
	case before.Status == 0:
		return errs.E(errs.Conflict, "the same request is under way; ask again for its answer")
	}
	w.Header().Set("Idempotency-Replayed", "true")
	if before.ContentType != "" {
		w.Header().Set("Content-Type", before.ContentType)
	}
	w.WriteHeader(before.Status)
	_, err = w.Write(before.Body)
	return err
}

// serveFirst serves a request and keeps its answer. One that fails on the server's
// side can be tried again.
func (r *router) serveFirst(w http.ResponseWriter, q *http.Request, row store.Request, h http.HandlerFunc) error {
	answer := &answerWriter{ResponseWriter: w}
	keep := context.WithoutCancel(q.Context())
	defer func() {
		row.Status, row.ContentType, row.Body = answer.status, w.Header().Get("Content-Type"), answer.body.Bytes()
		if answer.status >= 500 || answer.status == http.StatusTooManyRequests {
			row.Status = 0
		}
		if err := r.auth.store.Update(keep, func(tx *store.Tx) error { return tx.EndRequest(keep, row) }); err != nil {
			infoOf(q.Context()).fail(err)
		}
	}()
	h(answer, q.WithContext(context.WithValue(q.Context(), requestKey{}, "request:"+row.Actor+":"+row.Key)))
	return nil
}

// answerWriter keeps what is answered.
type answerWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (a *answerWriter) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body.Write(p)
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
