package scheduler_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// call is one call of a history, about one job of a run: what was asked, and what
// came back.
type call struct {
	kind         callKind
	run          int64
	pos, attempt int
	most         int // attempts that the job may have
	session      int64
	fence        int64
	digest       string
	answer       callAnswer
	rows         string // of callRead
}

type callKind string

const (
	callClaim   callKind = "claim"   // a poll gave the attempt to the session
	callConfirm callKind = "confirm" // the runner says that it starts it
	callFinish  callKind = "finish"
	callEnd     callKind = "end"  // the session ends
	callRead    callKind = "read" // the attempts as they are stored
)

type callAnswer string

const (
	answerOK      callAnswer = "ok"
	answerRefused callAnswer = "refused"
	answerUnknown callAnswer = "unknown" // it was lost, or the server could not say
)

func (c call) String() string {
	return fmt.Sprintf("%s session %d fence %d attempt %d %s: %s%s", c.kind, c.session, c.fence, c.attempt, c.digest, c.answer, c.rows)
}

// lease is the state of one job in the model: who has its attempt, and what became
// of those before. It is written from what docs/server.md promises, not from the
// scheduler's code.
type lease struct {
	open, confirmed bool
	fence, session  int64
	attempt         int    // the number of the open or of the next attempt
	done            bool   // a result that ends the job for good
	ended           string // a word an attempt that is over: fence/session=what
}

func word(fence, session int64, what string) string {
	return fmt.Sprintf(" %d/%d=%s", fence, session, what)
}

// close ends the open attempt.
func (l lease) close(what string) lease {
	l.ended += word(l.fence, l.session, what)
	l.open, l.confirmed, l.fence, l.session = false, false, 0, 0
	return l
}

// holds reports whether the attempt of a call is the one that is open.
func (l lease) holds(c call) bool { return l.open && l.fence == c.fence && l.session == c.session }

// used reports whether a fence was given before.
func (l lease) used(fence int64) bool {
	return strings.Contains(l.ended+" ", fmt.Sprintf(" %d/", fence))
}

// step returns the states that a call may lead to, none if it cannot have been
// answered like this. The lease may have ended by itself before: the runner was
// silent, or the machine was too busy to hear it.
func (l lease) step(c call) []lease {
	list := l.take(c)
	if l.open {
		list = append(list, l.end().take(c)...)
	}
	return list
}

// end ends the session that has the open attempt.
func (l lease) end() lease {
	if !l.confirmed {
		return l.close("unstarted") // the number is given again
	}
	next := l.close("lost")
	next.attempt++
	return next
}

func (l lease) take(c call) []lease {
	switch c.kind {
	case callClaim:
		return l.claim(c)
	case callConfirm:
		next := l
		next.confirmed = true
		return l.outcome(c, l.holds(c), next)
	case callFinish:
		if strings.Contains(l.ended+" ", word(c.fence, c.session, c.digest)+" ") && c.answer != answerRefused {
			return []lease{l} // the same again
		}
		if !l.holds(c) {
			return l.outcome(c, false, l)
		}
		next := l.close(c.digest)
		next.attempt++
		next.done = strings.HasPrefix(c.digest, string(pipeline.StatusSuccess))
		return l.outcome(c, true, next)
	case callEnd:
		if !l.open || l.session != c.session {
			return []lease{l}
		}
		return []lease{l.end()}
	default:
		if l.open || !sameRows(l.ended, c.rows) {
			return nil
		}
		return []lease{l}
	}
}

func (l lease) claim(c call) []lease {
	if l.open { // offered again until it is confirmed
		if l.holds(c) && !l.confirmed && l.attempt == c.attempt {
			return []lease{l}
		}
		return nil
	}
	if l.done || l.used(c.fence) || l.attempt != c.attempt || c.attempt > c.most {
		return nil
	}
	l.open, l.fence, l.session = true, c.fence, c.session
	return []lease{l}
}

// outcome is next for an accepted call, the same state for a refused one, and both
// if the answer is not known.
func (l lease) outcome(c call, accepts bool, next lease) []lease {
	switch {
	case c.answer == answerUnknown && accepts:
		return []lease{l, next}
	case c.answer == answerUnknown, !accepts && c.answer == answerRefused:
		return []lease{l}
	case accepts && c.answer == answerOK:
		return []lease{next}
	}
	return nil
}

// sameRows compares what the model says with what is stored. An attempt that no
// answer brought to a runner is only stored.
func sameRows(model, stored string) bool {
	want := strings.Fields(model)
	var got []string
	for _, w := range strings.Fields(stored) {
		if strings.HasSuffix(w, "=unstarted") && !slices.Contains(want, w) {
			continue
		}
		got = append(got, w)
	}
	slices.Sort(want)
	slices.Sort(got)
	return slices.Equal(want, got)
}

// storedWord is how an attempt's row reads in the model.
func storedWord(a store.Attempt) string {
	if a.State == store.AttemptEnded {
		return word(a.ID, a.Session, a.Digest)
	}
	return word(a.ID, a.Session, string(a.State))
}

// leaseModel is the model for porcupine: the calls about one job are one history.
func leaseModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{lease{attempt: 1}} },
		Step: func(state, input, _ any) []any {
			var all []any
			for _, next := range state.(lease).step(input.(call)) {
				all = append(all, next)
			}
			return all
		},
	}
	return m.ToModel()
}
