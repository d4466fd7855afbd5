package schedule

import (
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Cron is a parsed cron expression in a time zone. Its five fields and their
// meaning are those of crontab(5): minute, hour, day of month, month, day of
// week. If both day fields are restricted, a day matches by either.
type Cron struct {
	text    string
	zone    *time.Location
	minutes uint64
	hours   uint64
	days    uint64 // of the month
	months  uint64
	weekday uint64 // 0 is Sunday
	eachDay bool   // the day of month is *, or */N
	anyWeek bool   // the day of week is *, or */N
	elapsed bool   // the minute or hour is *, or */N
}

// String returns the expression without its zone.
func (c *Cron) String() string { return c.text }

// Zone returns the time zone in which the expression is read.
func (c *Cron) Zone() *time.Location { return c.zone }

// horizon bounds the search for the next day that matches: 29 February is at
// most 8 years away (2096 to 2104), and a weekday restricts it further.
const horizon = 41 * 366

// After implements [Schedule].
func (c *Cron) After(t time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		last := t
		local := t.In(c.zone)
		// One day earlier: what falls into a gap at midnight fires a day later.
		day := time.Date(local.Year(), local.Month(), local.Day()-1, 0, 0, 0, 0, time.UTC)
		var times []time.Time
		for empty := 0; empty < horizon; day = day.AddDate(0, 0, 1) {
			times = c.timesOf(day, times[:0])
			empty++
			for _, at := range times {
				if !at.After(last) {
					continue
				}
				if !yield(at) {
					return
				}
				last, empty = at, 0
			}
		}
	}
}

// timesOf appends the instants of a civil day (midnight UTC of its date) in
// order, without duplicates.
func (c *Cron) timesOf(day time.Time, to []time.Time) []time.Time {
	if !c.matches(day) {
		return to
	}
	// Offsets change rarely: on almost every day one is enough for all times.
	before, after := c.offset(day.Add(-26*time.Hour)), c.offset(day.Add(50*time.Hour))
	for hours := c.hours; hours != 0; hours &= hours - 1 {
		hour := day.Add(time.Duration(bits.TrailingZeros64(hours)) * time.Hour)
		for minutes := c.minutes; minutes != 0; minutes &= minutes - 1 {
			wall := hour.Add(time.Duration(bits.TrailingZeros64(minutes)) * time.Minute)
			if before == after {
				to = append(to, wall.Add(-before).In(c.zone))
				continue
			}
			to = c.instants(wall, to)
		}
	}
	if before != after {
		slices.SortFunc(to, time.Time.Compare)
		to = slices.CompactFunc(to, time.Time.Equal)
	}
	return to
}

// instants appends when the zone's clock shows wall (written as if it were
// UTC): once on most days, by the rules of the package around clock changes.
func (c *Cron) instants(wall time.Time, to []time.Time) []time.Time {
	var found [2]time.Time
	n := 0
	before, after := c.offset(wall.Add(-26*time.Hour)), c.offset(wall.Add(26*time.Hour))
	for _, offset := range [...]time.Duration{before, after} {
		at := wall.Add(-offset)
		if c.offset(at) == offset && (n == 0 || !at.Equal(found[0])) {
			found[n] = at.In(c.zone)
			n++
		}
	}
	switch {
	case n == 0: // in a gap
		at := wall.Add(-before).In(c.zone)
		if start, _ := at.ZoneBounds(); !c.elapsed && !start.IsZero() {
			at = start
		}
		return append(to, at)
	case n == 2 && c.elapsed:
		return append(to, found[0], found[1])
	case n == 2 && found[1].Before(found[0]):
		return append(to, found[1])
	default:
		return append(to, found[0])
	}
}

// offset returns how far the zone's clock is ahead of UTC at t.
func (c *Cron) offset(t time.Time) time.Duration {
	_, seconds := t.In(c.zone).Zone()
	return time.Duration(seconds) * time.Second
}

func (c *Cron) matches(day time.Time) bool {
	if c.months&(1<<day.Month()) == 0 {
		return false
	}
	byDate := c.days&(1<<day.Day()) != 0
	byWeekday := c.weekday&(1<<day.Weekday()) != 0
	if c.eachDay || c.anyWeek {
		return byDate && byWeekday
	}
	return byDate || byWeekday
}

// isWildcard reports whether a field means an interval rather than a time.
func isWildcard(field string) bool { return strings.HasPrefix(field, "*") }
