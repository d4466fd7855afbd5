// Package schedule computes the times at which a schedule fires: cron
// expressions in a time zone, and fixed intervals.
//
// It promises that a time of day fires once on each matching day, also on days
// on which the clock changes: a time in the gap fires at the first instant after
// it, a time that comes twice fires at its first occurrence. Expressions that
// mean an interval (a minute or hour field of * or */N) go by elapsed time
// instead. It is pure: it reads no clock and starts no timer.
package schedule

import (
	"iter"
	"time"
	_ "time/tzdata" // zones also where the system has none, such as in small images and on Windows

	"refline/internal/errs"
)

// Schedule yields times in ascending order.
type Schedule interface {
	// After yields every firing later than t. The sequence of a valid schedule
	// does not end within the years that time zones are known for.
	After(t time.Time) iter.Seq[time.Time]
	// String returns the expression as it can be parsed again.
	String() string
}

// Next returns the first firing after t; false if there is none.
func Next(s Schedule, t time.Time) (time.Time, bool) {
	for next := range s.After(t) {
		return next, true
	}
	return time.Time{}, false
}

// Every fires at Anchor and at each multiple of Interval before and after it.
type Every struct {
	Anchor   time.Time
	Interval time.Duration
}

// MinInterval is the shortest interval of a schedule.
const MinInterval = 10 * time.Second

// NewEvery checks the interval: at least [MinInterval], whole seconds. Errors
// are Invalid.
func NewEvery(anchor time.Time, interval time.Duration) (Every, error) {
	switch {
	case interval < MinInterval:
		return Every{}, errs.E(errs.Invalid, "an interval of %s is too short; the shortest is %s", interval, MinInterval)
	case interval%time.Second != 0:
		return Every{}, errs.E(errs.Invalid, "an interval of %s is not a whole number of seconds", interval)
	}
	return Every{Anchor: anchor.Truncate(time.Second), Interval: interval}, nil
}

// After implements [Schedule].
func (e Every) After(t time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if e.Interval <= 0 {
			return
		}
		steps := t.Sub(e.Anchor) / e.Interval
		next := e.Anchor.Add(steps * e.Interval)
		for !next.After(t) {
			next = next.Add(e.Interval)
		}
		for yield(next) {
			next = next.Add(e.Interval)
		}
	}
}

// String returns the interval, such as "15m0s".
func (e Every) String() string { return e.Interval.String() }

// CatchUp says what happens to firings that were missed, because no server was
// running or the schedule was paused.
type CatchUp string

// The ways to catch up.
const (
	CatchUpNone CatchUp = "none" // the default
	CatchUpLast CatchUp = "last" // the latest of them
	CatchUpAll  CatchUp = "all"  // each of them, the latest MaxCatchUp at most
)

// MaxCatchUp bounds how many missed firings are made up for.
const MaxCatchUp = 100

// Grace is how late a firing may be and still count as on time.
const Grace = time.Minute

// Due returns the firings after last that are to happen at now, oldest first,
// and the next one after now (zero if there is none). A firing at most [Grace]
// old is on time and always happens; older ones were missed and follow policy.
// A now before last (a clock that was set back) fires nothing.
func Due(s Schedule, last, now time.Time, policy CatchUp) (fire []time.Time, next time.Time) {
	from := last
	if now.Before(last) {
		next, _ = Next(s, last)
		return nil, next
	}
	keep := 1
	switch policy {
	case CatchUpAll:
		keep = MaxCatchUp
	case CatchUpNone:
		if onTime := now.Add(-Grace); from.Before(onTime) {
			from = onTime.Add(-1)
		}
	}
	for at := range s.After(from) {
		if at.After(now) {
			return fire, at
		}
		if len(fire) == keep {
			copy(fire, fire[1:])
			fire = fire[:keep-1]
		}
		fire = append(fire, at)
	}
	return fire, time.Time{}
}
