package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"refline/internal/errs"
	"refline/internal/netguard"
)

// lfsObject is an object in the batch API of git-lfs.
type lfsObject struct {
	OID     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions struct {
		Download struct {
			Href   string            `json:"href"`
			Header map[string]string `json:"header"`
		} `json:"download"`
	} `json:"actions,omitzero"`
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error,omitzero"`
}

// downloadLFS brings the objects that pointers in dst name into the mirror's
// store, by the batch API of git-lfs and through the guard. Credentials go to the
// repository's own site; where it sends us for an object gets what it says itself.
func (r *Remote) downloadLFS(ctx context.Context, c Resolved, dst string) error {
	wanted, err := r.missingLFS(ctx, c, dst)
	if err != nil || len(wanted) == 0 {
		return err
	}
	if r.lfsURL() == "" {
		return errs.E(errs.Invalid, "a server fetches LFS files by https alone; give the https URL of %s", r.URL())
	}
	client := r.access.Guard.Client(netguard.ClientOptions{Proxy: proxyOf(ownEnvironment(r.access.Environ, "")), OtherHosts: true})
	const batch = 100 // objects; what git-lfs asks for at a time
	for part := range slices.Chunk(wanted, batch) {
		found, err := r.askLFS(ctx, client, part)
		if err != nil {
			return err
		}
		for _, o := range found {
			if !slices.ContainsFunc(part, func(w lfsObject) bool { return w.OID == o.OID && w.Size == o.Size }) {
				continue // not asked for
			}
			if err := r.access.retry(ctx, r.URL(), func() error { return r.getLFS(ctx, client, o) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Remote) lfsFile(oid string) string {
	return filepath.Join(r.dir, "lfs", "objects", oid[:2], oid[2:4], oid)
}

// missingLFS lists the objects that the mirror's store lacks.
func (r *Remote) missingLFS(ctx context.Context, c Resolved, dst string) ([]lfsObject, error) {
	reader := r.Reader(ctx)
	defer reader.Close()
	entries, err := reader.List(c.Commit)
	if err != nil {
		return nil, err
	}
	var missing []lfsObject
	seen := map[string]bool{}
	for _, e := range entries {
		oid, size := parsePointer(filepath.Join(dst, filepath.FromSlash(e.Path)))
		if oid == "" || seen[oid] {
			continue
		}
		seen[oid] = true
		if _, err := os.Stat(r.lfsFile(oid)); err != nil {
			missing = append(missing, lfsObject{OID: oid, Size: size})
		}
	}
	return missing, nil
}

func (r *Remote) askLFS(ctx context.Context, client *http.Client, objects []lfsObject) (found []lfsObject, err error) {
	body, err := json.Marshal(map[string]any{"operation": "download", "transfers": []string{"basic"}, "objects": objects})
	if err != nil {
		return nil, err
	}
	const most = 4 << 20 // of an answer for a batch
	var answer struct {
		Objects []lfsObject `json:"objects"`
	}
	err = r.access.retry(ctx, r.URL(), func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.lfsURL()+"/objects/batch", bytes.NewReader(body))
		if err != nil {
			return errs.E(errs.Invalid, "the LFS server of %s: %w", r.URL(), err)
		}
		req.Header.Set("Accept", "application/vnd.git-lfs+json")
		req.Header.Set("Content-Type", "application/vnd.git-lfs+json")
		user, password, err := r.access.signIn(r.addr)
		if err != nil {
			return err
		}
		if password != "" {
			req.SetBasicAuth(user, password)
		}
		res, err := r.sendLFS(client, req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if err := json.NewDecoder(io.LimitReader(res.Body, most)).Decode(&answer); err != nil {
			return errs.E(errs.Unavailable, "the LFS server of %s: answer: %w", r.URL(), err)
		}
		return nil
	})
	return answer.Objects, err
}

// sendLFS turns an answer other than 200 into an error of its kind.
func (r *Remote) sendLFS(client *http.Client, req *http.Request) (*http.Response, error) {
	res, err := client.Do(req)
	if err != nil {
		if req.Context().Err() != nil {
			return nil, context.Cause(req.Context())
		}
		kind := errs.KindOf(err)
		if kind == errs.Internal {
			kind = errs.Unavailable
		}
		return nil, errs.E(kind, "the LFS server of %s: %w", r.URL(), withoutURL(err))
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	_ = res.Body.Close()
	kind := errs.Invalid
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		kind = errs.Denied
	case s == http.StatusNotFound || s == http.StatusGone:
		kind = errs.NotFound
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		kind = errs.Unavailable
	}
	return nil, errs.E(kind, "the LFS server of %s answers %s", r.URL(), res.Status)
}

// getLFS downloads one object and compares it with its name, which is its hash.
func (r *Remote) getLFS(ctx context.Context, client *http.Client, o lfsObject) error {
	if o.Error.Code != 0 {
		return errs.E(errs.NotFound, "object %.12s is not on the LFS server of %s (%d); was it pushed (git lfs push --all)?", o.OID, r.URL(), o.Error.Code)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Actions.Download.Href, nil)
	if err != nil || req.URL.Scheme != "https" && req.URL.Scheme != r.addr.scheme {
		return errs.E(errs.Invalid, "the LFS server of %s gives a URL for object %.12s that is not https", r.URL(), o.OID)
	}
	for name, value := range o.Actions.Download.Header {
		req.Header.Set(name, value)
	}
	res, err := r.sendLFS(client, req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return r.storeLFS(o, res.Body)
}

func (r *Remote) storeLFS(o lfsObject, body io.Reader) error {
	path := r.lfsFile(o.OID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return onDisk(err, "the LFS files of %s", r.URL())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return onDisk(err, "the LFS files of %s", r.URL())
	}
	defer os.Remove(f.Name())
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(body, o.Size+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	switch {
	case isDiskFull(err):
		return onDisk(err, "the LFS files of %s", r.URL())
	case err != nil:
		return errs.E(errs.Unavailable, "object %.12s from the LFS server of %s broke off after %d bytes: %w", o.OID, r.URL(), n, err)
	case n != o.Size || hex.EncodeToString(hash.Sum(nil)) != o.OID:
		return errs.E(errs.Unavailable, "object %.12s from the LFS server of %s is not what its name says", o.OID, r.URL())
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return onDisk(err, "the LFS files of %s", r.URL())
	}
	return nil
}

// withoutURL is an error of the client without its URL, which may hold a signature.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
