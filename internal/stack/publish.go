package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/errs"
)

// Staged is a template in the environment's bucket.
type Staged struct {
	File   string   `json:"file"`
	Digest string   `json:"digest"`
	Bucket string   `json:"bucket"`
	Key    string   `json:"key"`
	URL    string   `json:"url"`
	New    bool     `json:"new"` // it was not there before
	Nested []Staged `json:"nested,omitempty"`
}

// Publish stages a target's template and its nested ones under keys made of
// their contents, and adds a record to the stack's history.
func (s *Session) Publish(ctx context.Context, t *Target) (*Staged, error) {
	if s.Env.Bucket == "" {
		return nil, errs.E(errs.Invalid, "environment %s has no bucket to publish to; add bucket: to it in %s", s.Env.Name, s.Config.File)
	}
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return nil, err
	}
	staged, err := s.stage(ctx, t, tmpl)
	if err != nil {
		return nil, err
	}
	return staged, s.record(ctx, t.StackName, Record{Event: OperationPublish, Template: staged.Digest, Key: staged.Key})
}

// stage puts nested templates first: their URLs are part of what names them.
func (s *Session) stage(ctx context.Context, t *Target, tmpl *Template) (*Staged, error) {
	var nested []Staged
	urls := map[*Template]string{}
	for _, r := range tmpl.resources() {
		child := tmpl.Nested[r.Name]
		if child == nil {
			continue
		}
		st, err := s.stage(ctx, t, child)
		if err != nil {
			return nil, err
		}
		urls[child] = st.URL
		nested = append(nested, *st)
	}
	text := tmpl.sent(func(c *Template) string { return urls[c] })
	if err := tmpl.checkSize(text, s.Env.Bucket); err != nil {
		return nil, err
	}
	st := &Staged{File: tmpl.File, Digest: planfile.DigestOf(text), Bucket: s.Env.Bucket, Nested: nested}
	st.Key = path.Join(s.Env.Prefix, "templates", strings.TrimPrefix(st.Digest, "sha256:")+extension(tmpl, text))
	st.URL = s.Cloud.ObjectURL(st.Bucket, st.Key)
	created, err := s.Cloud.PutObject(ctx, Object{Bucket: st.Bucket, Key: st.Key, Body: text,
		ContentType: contentType(st.Key), Metadata: s.metadata(t), KMSKey: s.Env.KMSKey})
	if err != nil {
		return nil, fmt.Errorf("publish %s to s3://%s/%s: %w", tmpl.File, st.Bucket, st.Key, err)
	}
	st.New = created
	if !created {
		// Its name is the sum of its content, so a changed object is noticed.
		there, err := s.Cloud.GetObject(ctx, st.Bucket, st.Key)
		if err != nil {
			return nil, fmt.Errorf("read s3://%s/%s, which exists: %w", st.Bucket, st.Key, err)
		}
		if planfile.DigestOf(there.Body) != st.Digest {
			return nil, errs.E(errs.Conflict, "s3://%s/%s does not have the content that its name says, so it was overwritten; inspect it and delete it", st.Bucket, st.Key)
		}
	}
	return st, nil
}

func extension(t *Template, text []byte) string {
	if json.Valid(text) {
		return ".json"
	}
	switch ext := strings.ToLower(path.Ext(t.File)); ext {
	case ".yml", ".yaml":
		return ".yaml"
	default:
		return ".json"
	}
}

func contentType(key string) string {
	if strings.HasSuffix(key, ".yaml") {
		return "application/yaml"
	}
	return "application/json"
}

// metadata are of ASCII only, as S3 wants.
func (s *Session) metadata(t *Target) map[string]string {
	m := map[string]string{"stack": t.Name, "environment": s.Env.Name}
	for key, value := range map[string]string{
		"commit": s.Origin.Commit, "ref": s.Origin.Ref, "pipeline": s.Origin.Pipeline, "author": s.Origin.Author,
	} {
		if value != "" {
			m[key] = ascii(value)
		}
	}
	return m
}

func ascii(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		return s
	}
	return url.QueryEscape(s)
}

// Operation is what a record is about.
type Operation string

// The operations.
const (
	OperationPublish Operation = "published"
	OperationPlan    Operation = "planned"
	OperationDeploy  Operation = "deployed"
	OperationFail    Operation = "failed"
	OperationDelete  Operation = "deleted"
	// OperationRollback is a deployment that somebody took back.
	OperationRollback Operation = "rolled-back"
)

// Record is one line of a stack's history: an object of its own in the bucket,
// never overwritten.
type Record struct {
	Time      time.Time `json:"time"`
	Event     Operation `json:"event"`
	Stack     string    `json:"stack"`
	Caller    string    `json:"caller"`
	Template  string    `json:"template,omitempty"` // digest
	Key       string    `json:"key,omitempty"`
	Plan      string    `json:"plan,omitempty"` // digest
	ChangeSet string    `json:"changeSet,omitempty"`
	// Outdated are the reasons that a deployed plan was outdated.
	Outdated []string `json:"outdated,omitempty"`
	Origin
}

// record adds to a stack's history; without a bucket there is none.
func (s *Session) record(ctx context.Context, stackName string, r Record) error {
	if s.Env.Bucket == "" {
		return nil
	}
	r.Time, r.Stack, r.Caller = s.Clock.Now().UTC(), stackName, s.Caller.ARN
	if r.Origin == (Origin{}) {
		r.Origin = s.Origin
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	key := path.Join(s.Env.Prefix, "history", stackName,
		fmt.Sprintf("%s-%s-%s.json", r.Time.Format("20060102T150405.000Z"), r.Event, s.Random()))
	_, err = s.Cloud.PutObject(ctx, Object{Bucket: s.Env.Bucket, Key: key, Body: append(text, '\n'),
		ContentType: "application/json", KMSKey: s.Env.KMSKey})
	if err != nil {
		return fmt.Errorf("record in s3://%s/%s: %w", s.Env.Bucket, key, err)
	}
	return nil
}

// Histories lists what happened to several stacks, as [Session.History] does.
func (s *Session) Histories(ctx context.Context, targets []*Target, limit int) ([]Record, error) {
	records := []Record{}
	for _, t := range targets {
		list, err := s.History(ctx, t.StackName, limit)
		if err != nil {
			return nil, err
		}
		records = append(records, list...)
	}
	slices.SortStableFunc(records, func(a, b Record) int { return b.Time.Compare(a.Time) })
	if limit > 0 {
		records = records[:min(len(records), limit)]
	}
	return records, nil
}

// History lists what happened to a stack, newest first, at most limit records
// (0 is all).
func (s *Session) History(ctx context.Context, stackName string, limit int) ([]Record, error) {
	if s.Env.Bucket == "" {
		return nil, errs.E(errs.Invalid, "environment %s has no bucket, so nothing is recorded; add bucket: to it in %s", s.Env.Name, s.Config.File)
	}
	prefix := path.Join(s.Env.Prefix, "history", stackName) + "/"
	objects, err := s.Cloud.ListObjects(ctx, s.Env.Bucket, prefix)
	if err != nil {
		return nil, fmt.Errorf("list s3://%s/%s: %w", s.Env.Bucket, prefix, err)
	}
	slices.Reverse(objects) // keys begin with the time
	if limit > 0 && len(objects) > limit {
		objects = objects[:limit]
	}
	records := make([]Record, 0, len(objects))
	for _, o := range objects {
		full, err := s.Cloud.GetObject(ctx, s.Env.Bucket, o.Key)
		if err != nil {
			return nil, fmt.Errorf("read s3://%s/%s: %w", s.Env.Bucket, o.Key, err)
		}
		var r Record
		if err := json.Unmarshal(full.Body, &r); err != nil {
			return nil, errs.E(errs.Invalid, "s3://%s/%s is not a record: %w", s.Env.Bucket, o.Key, err)
		}
		records = append(records, r)
	}
	return records, nil
}
