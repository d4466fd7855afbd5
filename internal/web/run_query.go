package web

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
)

// runKeys are the keys of a search.
func runKeys() []string {
	return []string{"status", "flow", "project", "ref", "branch", "tag", "commit", "actor", "event", "since", "until"}
}

// runQuery reads what is typed into the search field, key:value terms and the name of a
// flow, a commit or the number of a run, and finds the project of a flow.
func (c *request) runQuery(q string) (out api.RunQuery, run int64, err error) {
	if out, run, err = readRunQuery(q, c.now, c.wishes.location); err != nil || out.Flow == "" || out.Project != "" {
		return out, run, err
	}
	flows, err := c.API.Flows(c.ctx(), "", out.Flow, true)
	switch {
	case err != nil:
		return out, 0, err
	case len(flows) == 0:
		return out, 0, errs.E(errs.NotFound, "no flow %q; the page of flows has them all", out.Flow)
	case len(flows) > 1:
		return out, 0, invalid("%d projects have a flow %q; add one of them: project:%s", len(flows), out.Flow, flows[0].Project)
	}
	out.Project = flows[0].Project
	return out, run, nil
}

func readRunQuery(q string, now time.Time, zone *time.Location) (out api.RunQuery, run int64, err error) {
	for term := range strings.FieldsSeq(q) {
		key, value, is := strings.Cut(term, ":")
		if !is {
			n, err := strconv.ParseInt(strings.TrimPrefix(term, "#"), 10, 64)
			switch {
			case err == nil:
				run = n
			case isCommit(term):
				out.Commit = strings.ToLower(term)
			default:
				out.Flow = term
			}
			continue
		}
		if value == "" {
			return out, 0, invalid("%s: has no value; it looks like %s:VALUE", key, key)
		}
		switch key {
		case "status":
			out.Statuses = append(out.Statuses, statusesOf(value)...)
		case "flow":
			out.Flow = value
		case "project":
			out.Project = value
		case "ref", "branch", "tag":
			out.Ref = value
		case "commit":
			if out.Commit = strings.ToLower(value); strings.Trim(out.Commit, "0123456789abcdef") != "" {
				return out, 0, invalid("%q is not the begin of a commit: it is hexadecimal", value)
			}
		case "actor":
			out.Actor = value
		case "event":
			out.Event = value
		case "since", "until":
			at, err := searchTime(value, key == "until", now, zone)
			if err != nil {
				return out, 0, err
			}
			if key == "since" {
				out.Since = at
			} else {
				out.Until = at
			}
		default:
			hint := ""
			if near := diag.Nearest(key, runKeys()); near != "" {
				hint = "; did you mean " + near + ":" + value + "?"
			}
			return out, 0, invalid("%q is not a key of a search%s known: %s", key, map[bool]string{true: hint, false: ";"}[hint != ""], strings.Join(runKeys(), ", "))
		}
	}
	return out, run, nil
}

// statusesOf are statuses as the page names them: passed is success, queued several.
func statusesOf(value string) []string {
	var out []string
	for name := range strings.SplitSeq(value, ",") {
		switch name {
		case "passed", "good":
			out = append(out, "success")
		case "red":
			out = append(out, "failed")
		case "waiting":
			out = append(out, "manual")
		case "queued":
			out = append(out, "created", "pending", "preparing", "waiting_for_resource", "scheduled")
		default:
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// isCommit reports that a word without a key is meant as a commit.
func isCommit(word string) bool {
	return len(word) >= 7 && len(word) <= 64 && strings.Trim(strings.ToLower(word), "0123456789abcdef") == "" && strings.ContainsAny(word, "0123456789")
}

// searchTime reads a day (2026-11-22), a time (2026-11-22T06:00) or how long ago (7d, 12h,
// 30m). Until a day means until its end.
func searchTime(value string, end bool, now time.Time, zone *time.Location) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, value, zone); err == nil {
		if end {
			day = day.AddDate(0, 0, 1).Add(-time.Millisecond)
		}
		return day, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.ParseInLocation(layout, value, zone); err == nil {
			return at, nil
		}
	}
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	n, err := strconv.ParseInt(value[:len(value)-1], 10, 64)
	if unit := units[value[len(value)-1]]; err == nil && unit > 0 && n >= 0 && n <= 10_000 {
		return now.Add(-time.Duration(n) * unit), nil
	}
	return time.Time{}, invalid("%q is not a time: it looks like 2026-11-22, 2026-11-22T06:00, 7d or 12h", value)
}
