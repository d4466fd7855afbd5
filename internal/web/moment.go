package web

import (
	"fmt"
	"html/template"
	"strconv"
	"time"
)

// duration writes a time that something took: 0.4 s, 12 s, 4 min 12 s, 3 h 5 min,
// 2 d 4 h. assets/js/clock.js writes them the same way.
func duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	two := func(a time.Duration, unit string, b time.Duration, small string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, small)
	}
	switch {
	case d < 10*time.Second-50*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute-500*time.Millisecond:
		return fmt.Sprintf("%d s", int64(d.Round(time.Second)/time.Second))
	case d < time.Hour:
		d = d.Round(time.Second)
		if d == time.Hour {
			return "1 h"
		}
		return two(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	case d < 24*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return two(d/(24*time.Hour), "d", d%(24*time.Hour)/time.Hour, "h")
}

// took is what a run or job needs: from its start to its end, or to now. It is
// empty for what has not started.
func took(started, finished, now time.Time) time.Duration {
	if started.IsZero() {
		return 0
	}
	if finished.IsZero() {
		finished = now
	}
	return max(finished.Sub(started), 0)
}

// Took shows how long something takes. While it goes on the script counts.
func (c *request) Took(started, finished time.Time) template.HTML {
	if started.IsZero() {
		return ""
	}
	text := duration(took(started, finished, c.now))
	if !finished.IsZero() {
		return template.HTML(text)
	}
	return template.HTML(fmt.Sprintf(`<span class="num" data-since="%d">%s</span>`, started.UnixMilli(), text))
}

// Clock shows a time as short as it can be told from others: 06:00 today, Mon 06:00
// in the last days, 22 Nov, 06:00 in this year. The title has it in UTC.
func (c *request) Clock(t time.Time) template.HTML { return c.moment(t, c.short(t)) }

// Time shows a time with its day: Mon 23 Nov, 06:00:00.
func (c *request) Time(t time.Time) template.HTML {
	layout := "Mon 2 Jan, 15:04:05"
	if local := t.In(c.wishes.location); local.Year() != c.now.In(c.wishes.location).Year() {
		layout = "Mon 2 Jan 2006, 15:04:05"
	}
	return c.moment(t, t.In(c.wishes.location).Format(layout))
}

func (c *request) moment(t time.Time, text string) template.HTML {
	if t.IsZero() {
		return ""
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, utc.Format(time.RFC3339), utc.Format("2006-01-02 15:04:05 UTC"), text))
}

func (c *request) short(t time.Time) string {
	local, now := t.In(c.wishes.location), c.now.In(c.wishes.location)
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	days := int(day(now).Sub(day(local)).Hours() / 24)
	switch {
	case days == 0:
		return local.Format("15:04")
	case days > 0 && days < 6 || days < 0 && days > -6:
		return local.Format("Mon 15:04")
	case local.Year() == now.Year():
		return local.Format("2 Jan, 15:04")
	}
	return local.Format("2 Jan 2006")
}

// Ago shows how long ago something was.
func (c *request) Ago(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	return c.moment(t, rough(c.now.Sub(t))+" ago")
}

// In shows how long something takes to come.
func (c *request) In(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	if !t.After(c.now) {
		return c.moment(t, "now")
	}
	return c.moment(t, "in "+rough(t.Sub(c.now)))
}

// rough is a duration with one unit.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// number writes a count with commas: 1,284.
func number[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// count writes a number of things: 1 run, 2 runs.
func count[N int | int64](n N, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + more
}
