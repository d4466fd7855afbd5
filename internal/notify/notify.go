// Package notify shows the state of runs elsewhere: commit statuses and comments
// at a forge, messages to webhooks, chats and mail. Each target has one wanted
// state: what is wanted is recorded first and sent then, again after failures,
// and the same state is not sent twice.
//
// It takes values (facts of a run, rules) and a store for what is wanted. It
// does not know runs, tables or where secrets are kept. It promises that no
// address with a secret in it, no token and no password is in an error.
package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Run is what is known of a run. Texts come from repositories and are not to be
// trusted.
type Run struct {
	ID           int64     `json:"id"`
	Number       int64     `json:"number"`
	ProjectID    int64     `json:"-"`
	Project      string    `json:"project"`
	Flow         string    `json:"flow,omitempty"`            // "" for the project's pipeline
	Status       string    `json:"status"`                    // as in a pipeline: created, running, manual, success, …
	Previous     string    `json:"previous_status,omitempty"` // of the last run of this flow and ref that ended; "" for none
	Source       string    `json:"source"`
	Ref          string    `json:"ref"` // full: refs/heads/main
	Commit       string    `json:"commit"`
	Title        string    `json:"title,omitempty"` // of the commit
	Actor        string    `json:"actor,omitempty"`
	MergeRequest int64     `json:"merge_request,omitempty"` // number; 0 for none
	URL          string    `json:"url"`
	Failed       []Job     `json:"failed,omitempty"`       // jobs that failed the run
	Waiting      []Job     `json:"waiting,omitempty"`      // jobs that wait for a person
	SystemError  bool      `json:"system_error,omitempty"` // it failed for no fault of the code
	Started      time.Time `json:"started_at,omitzero"`
	Finished     time.Time `json:"finished_at,omitzero"`
}

// Job is a job of a run that a message names.
type Job struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
	URL    string `json:"url,omitempty"`
}

// maxJobs is how many jobs a message names.
const maxJobs = 20

// bounded is the run with what a message needs at most.
func (r Run) bounded() Run {
	r.Failed, r.Waiting = r.Failed[:min(len(r.Failed), maxJobs)], r.Waiting[:min(len(r.Waiting), maxJobs)]
	r.Title = cut(r.Title, 250)
	return r
}

// Kinds of messages beside those of rules.
const (
	KindStatus  = "status"
	KindComment = "comment"
)

// States of a message.
const (
	StateWaiting = "waiting"
	StateSent    = "sent"
	StateStopped = "stopped" // given up; Error says why
)

// Message is what a target is to show. Its fields are those of a row of the store.
type Message struct {
	ID, Project, Run int64
	Kind             string // KindStatus, KindComment, or the kind of a rule
	Target           string // unique in the project
	Body             []byte // what is wanted, JSON
	Sent             string // digest of the body that the target has
	Remote           string // id at the target, of a comment
	State            string
	Attempts         int
	Next             time.Time
	Error            string
	Updated          time.Time
}

// Store keeps what is wanted.
type Store interface {
	// Want sets what targets are to show. A target that waits for its next attempt
	// keeps its time; the same again changes nothing.
	Want(ctx context.Context, messages []Message) error
	// Due returns messages that wait and are due, at most n.
	Due(ctx context.Context, now time.Time, n int) ([]Message, error)
	// Finish writes what an attempt came to. If another state is wanted by now,
	// the message stays due.
	Finish(ctx context.Context, m Message) error
	// Next returns when the first message is due, zero if none waits.
	Next(ctx context.Context) (time.Time, error)
}

// newMessage makes a message that is due now. Run, Target and Body say all.
func newMessage(r Run, kind, target string, body any, now time.Time) (Message, error) {
	text, err := json.Marshal(body)
	return Message{Project: r.ProjectID, Run: r.ID, Kind: kind, Target: target, Body: text, State: StateWaiting, Next: now, Updated: now}, err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

// cut shortens a text to so many characters and shows that it did.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
