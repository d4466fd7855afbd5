package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"refline/internal/errs"
)

// watcher keeps a list of objects of one kind up to date: one list, then one standing
// request.
type watcher struct {
	cluster *Cluster
	path    string
	query   url.Values
	// found is called for each object that is there or changed; deleted for one that
	// is not any more.
	found, deleted func(object json.RawMessage)
	// listed is called after a list, with what it found; what is missing was deleted.
	listed func(objects []json.RawMessage)
}

const (
	watchTime   = 300 * time.Second
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
)

// listed is the part of a list that every kind has.
type objectList struct {
	metav1.ListMeta `json:"metadata"`
	Items           []json.RawMessage `json:"items"`
}

// run works until ctx is done. failed hears of errors, nil when it goes well again.
func (w *watcher) run(ctx context.Context, failed func(error)) {
	wait := firstWait
	version := ""
	for ctx.Err() == nil {
		var err error
		if version == "" {
			version, err = w.list(ctx)
		}
		if err == nil {
			failed(nil)
			version, err = w.follow(ctx, version)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = firstWait
			continue
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			failed(err)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, longestWait)
	}
}

func (w *watcher) list(ctx context.Context) (version string, err error) {
	query := url.Values{}
	for k, v := range w.query {
		query[k] = v
	}
	query.Set("limit", "500")
	var all []json.RawMessage
	for {
		var page objectList
		if err := w.cluster.call(ctx, http.MethodGet, w.path, query, nil, &page); err != nil {
			return "", err
		}
		all = append(all, page.Items...)
		if page.Continue == "" {
			w.listed(all)
			return page.ResourceVersion, nil
		}
		query.Set("continue", page.Continue)
	}
}

// change is one line of a watch.
type change struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// follow takes changes until the server ends the request. The version to go on with is
// "" if the list has to be read again.
func (w *watcher) follow(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{}
	for k, v := range w.query {
		query[k] = v
	}
	limit := watchTime + rand.N(watchTime/5) // not all at once
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", version)
	query.Set("timeoutSeconds", seconds(limit))
	// A connection that died without a word ends here.
	timer := time.AfterFunc(limit+callTime, cancel)
	defer timer.Stop()
	res, err := w.cluster.do(ctx, http.MethodGet, w.path, query, nil)
	if err != nil {
		if errs.Is(err, errs.NotFound) { // 410: the version is too old
			return "", nil
		}
		return version, err
	}
	defer res.Body.Close()
	d := json.NewDecoder(res.Body)
	for {
		var c change
		if err := d.Decode(&c); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return version, err
		}
		if c.Type == "ERROR" { // mostly 410 inside of a good answer
			return "", nil
		}
		var meta struct {
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := json.Unmarshal(c.Object, &meta); err != nil {
			return "", errs.E(errs.Unavailable, "a change of the cluster: %w", err)
		}
		version = meta.ResourceVersion
		switch c.Type {
		case "ADDED", "MODIFIED":
			w.found(c.Object)
		case "DELETED":
			w.deleted(c.Object)
		}
	}
}
