package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// Log keeps what one attempt prints. It gets masked bytes only, from one
// goroutine at a time. An implementation may be on another computer.
type Log interface {
	// Append adds p at the end.
	Append(ctx context.Context, p []byte) error
	// Open reads what is stored, from its beginning.
	Open(ctx context.Context) (io.ReadCloser, error)
	// Clear removes what is stored.
	Clear(ctx context.Context) error
}

// DefaultLogLimit is how many bytes of an attempt's log are kept unless
// JobInput.LogLimit says otherwise, so that a job that prints without end does
// not fill the disk.
const DefaultLogLimit = 1 << 30

// LogResult describes the log of an attempt.
type LogResult struct {
	Bytes     int64 `json:"bytes"`               // that were kept
	Truncated bool  `json:"truncated,omitempty"` // it reached the limit
	Cleared   bool  `json:"cleared,omitempty"`   // it could not be shown to hold no secret
}

// FileLog is the log of an attempt in a file of this computer.
type FileLog struct{ file *os.File }

var _ Log = (*FileLog)(nil)

// CreateFileLog makes the file, which must not exist.
func CreateFileLog(path string) (*FileLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &FileLog{f}, nil
}

// Append implements [Log].
func (l *FileLog) Append(_ context.Context, p []byte) error {
	_, err := l.file.Write(p)
	return err
}

// Open implements [Log].
func (l *FileLog) Open(context.Context) (io.ReadCloser, error) { return os.Open(l.file.Name()) }

// Clear implements [Log].
func (l *FileLog) Clear(context.Context) error { return l.file.Truncate(0) }

// Close closes the file.
func (l *FileLog) Close() error { return l.file.Close() }

// noLog is a log that is not kept.
type noLog struct{}

func (noLog) Append(context.Context, []byte) error { return nil }
func (noLog) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}
func (noLog) Clear(context.Context) error { return nil }

// logWriter appends an attempt's masked bytes to its log, up to the limit, and
// reports them.
type logWriter struct {
	ctx    context.Context // not canceled with the attempt, whose end is logged too
	log    Log
	emit   func(pipeline.Report)
	limit  int64
	result LogResult
}

// Write takes all of p, also beyond the limit: a job does not notice that its log
// is full, and who watches sees all of it.
func (w *logWriter) Write(p []byte) (int, error) {
	if err := w.keep(p); err != nil {
		return 0, err
	}
	w.emit(pipeline.Report{Kind: pipeline.ReportJobLog, Data: p})
	return len(p), nil
}

// keep appends what the limit leaves room for.
func (w *logWriter) keep(p []byte) error {
	room := w.limit - w.result.Bytes
	switch {
	case w.result.Truncated:
		return nil
	case int64(len(p)) <= room:
		return w.append(p)
	}
	w.result.Truncated = true
	return w.append(fmt.Appendf(p[:room:room], "\n\nthe log is longer than %s; the rest is not kept, the job goes on\n", sizeText(w.limit)))
}

func (w *logWriter) append(p []byte) error {
	if err := w.log.Append(w.ctx, p); err != nil {
		return err
	}
	w.result.Bytes += int64(len(p))
	return nil
}

// finish adds the job's error, whose text is masked, to the log. Then it looks for
// secrets in what is stored.
func (w *logWriter) finish(res *JobResult, find func(io.Reader) (secret string, err error)) {
	if res.Err != nil { // it is shown with the job, but readers of the log want it too
		_ = w.append(fmt.Appendf(nil, "the job could not be run as it should: %v\n", res.Err))
	}
	if err := w.scan(find); err != nil {
		res.Status, res.Reason, res.Err = pipeline.StatusFailed, pipeline.ReasonDataIntegrity, err
	}
	res.Log = w.result
}

// scan looks for secrets in the stored log once more. It fails closed: a log
// that holds one, or that cannot be read, is cleared and the job is red.
func (w *logWriter) scan(find func(io.Reader) (string, error)) error {
	secret, err := w.find(find)
	if err == nil && secret == "" {
		return nil
	}
	w.result.Cleared, w.result.Bytes = true, 0
	clearErr := w.log.Clear(w.ctx)
	if err == nil {
		err = errs.E(errs.Internal, "the log held a part of the secret %s after masking and was emptied; this is a fault of the masker, please report it", secret)
	} else {
		err = fmt.Errorf("the log was emptied, since it could not be searched for secrets: %w", err)
	}
	if clearErr != nil {
		w.result.Cleared = false
		err = errors.Join(err, fmt.Errorf("it could not be emptied: %w", clearErr))
	}
	return err
}

func (w *logWriter) find(find func(io.Reader) (string, error)) (secret string, err error) {
	r, err := w.log.Open(w.ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	return find(r)
}

func sizeText(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
