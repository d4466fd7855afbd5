package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/schedule"
)

const layout = "2006-01-02 15:04 MST"

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// firings returns those between two local times of the zone.
func firings(t *testing.T, expression, zoneName, from, to string) []string {
	t.Helper()
	loc := zone(t, zoneName)
	c, err := schedule.ParseCron(expression, loc)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.ParseInLocation("2006-01-02 15:04", to, loc)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for at := range c.After(begin.Add(-1)) {
		if !at.Before(end) {
			break
		}
		got = append(got, at.Format(layout))
	}
	return got
}

// TestClockChanges holds the rule of the package: a time of day fires once a
// day, whatever the clock does; intervals go by elapsed time.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, cron, zone, from, to string
		want                       []string
	}{
		{
			name: "New York, spring: the time is in the gap", cron: "30 2 * * *", zone: "America/New_York",
			from: "2026-03-07 00:00", to: "2026-03-10 00:00",
			want: []string{"2026-03-07 02:30 EST", "2026-03-08 03:00 EDT", "2026-03-09 02:30 EDT"},
		},
		{
			name: "two times in one gap fire once", cron: "0,30 2 * * *", zone: "America/New_York",
			from: "2026-03-08 00:00", to: "2026-03-09 00:00", want: []string{"2026-03-08 03:00 EDT"},
		},
		{
			name: "the gap's end is a time of its own", cron: "30 2,3 * * *", zone: "America/New_York",
			from: "2026-03-08 00:00", to: "2026-03-09 00:00", want: []string{"2026-03-08 03:00 EDT", "2026-03-08 03:30 EDT"},
		},
		{
			name: "New York, autumn: the time comes twice", cron: "30 1 * * *", zone: "America/New_York",
			from: "2026-11-01 00:00", to: "2026-11-02 02:00",
			want: []string{"2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"},
		},
		{
			name: "hourly, spring", cron: "0 * * * *", zone: "America/New_York",
			from: "2026-03-08 00:00", to: "2026-03-08 05:00",
			want: []string{"2026-03-08 00:00 EST", "2026-03-08 01:00 EST", "2026-03-08 03:00 EDT", "2026-03-08 04:00 EDT"},
		},
		{
			name: "hourly, autumn", cron: "30 * * * *", zone: "America/New_York",
			from: "2026-11-01 00:00", to: "2026-11-01 03:00",
			want: []string{"2026-11-01 00:30 EDT", "2026-11-01 01:30 EDT", "2026-11-01 01:30 EST", "2026-11-01 02:30 EST"},
		},
		{
			name: "every two hours, spring: two hours pass", cron: "0 */2 * * *", zone: "America/New_York",
			from: "2026-03-08 00:00", to: "2026-03-08 05:00",
			want: []string{"2026-03-08 00:00 EST", "2026-03-08 03:00 EDT", "2026-03-08 04:00 EDT"},
		},
		{
			name: "every 30 minutes, autumn", cron: "*/30 1 * * *", zone: "Europe/Berlin",
			from: "2026-10-25 00:00", to: "2026-10-26 00:00",
			want: []string{"2026-10-25 01:00 CEST", "2026-10-25 01:30 CEST"},
		},
		{
			name: "Berlin, spring", cron: "15 2 * * *", zone: "Europe/Berlin",
			from: "2026-03-29 00:00", to: "2026-03-30 03:00",
			want: []string{"2026-03-29 03:00 CEST", "2026-03-30 02:15 CEST"},
		},
		{
			name: "Berlin, autumn", cron: "15 2 * * *", zone: "Europe/Berlin",
			from: "2026-10-25 00:00", to: "2026-10-26 03:00",
			want: []string{"2026-10-25 02:15 CEST", "2026-10-26 02:15 CET"},
		},
		{
			name: "Lord Howe, spring: half an hour is missing", cron: "15 2 * * *", zone: "Australia/Lord_Howe",
			from: "2026-10-04 00:00", to: "2026-10-05 03:00",
			want: []string{"2026-10-04 02:30 +11", "2026-10-05 02:15 +11"},
		},
		{
			name: "Lord Howe, spring: a time after the gap", cron: "45 2 * * *", zone: "Australia/Lord_Howe",
			from: "2026-10-04 00:00", to: "2026-10-05 00:00", want: []string{"2026-10-04 02:45 +11"},
		},
		{
			name: "Lord Howe, autumn: half an hour comes twice", cron: "45 1 * * *", zone: "Australia/Lord_Howe",
			from: "2026-04-05 00:00", to: "2026-04-06 02:00",
			want: []string{"2026-04-05 01:45 +11", "2026-04-06 01:45 +1030"},
		},
		{
			name: "Casablanca, Ramadan ends", cron: "30 2 * * *", zone: "Africa/Casablanca",
			from: "2026-03-22 00:00", to: "2026-03-23 03:00",
			want: []string{"2026-03-22 03:00 +01", "2026-03-23 02:30 +01"},
		},
		{
			name: "Casablanca, Ramadan begins", cron: "30 2 * * *", zone: "Africa/Casablanca",
			from: "2026-02-15 00:00", to: "2026-02-16 03:00",
			want: []string{"2026-02-15 02:30 +01", "2026-02-16 02:30 +00"},
		},
		{
			name: "Santiago: the gap is at midnight", cron: "@daily", zone: "America/Santiago",
			from: "2026-09-05 00:00", to: "2026-09-08 00:00",
			want: []string{"2026-09-05 00:00 -04", "2026-09-06 01:00 -03", "2026-09-07 00:00 -03"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := firings(t, tt.cron, tt.zone, tt.from, tt.to)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCron(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cron, from, to string
		want           []string
	}{
		{"0 6 * * mon-fri", "2026-11-27 00:00", "2026-12-01 00:00", []string{"2026-11-27 06:00 UTC", "2026-11-30 06:00 UTC"}},
		{"0 6 * * 7", "2026-11-27 00:00", "2026-12-01 00:00", []string{"2026-11-29 06:00 UTC"}},
		{"0 6 * * fri-sun", "2026-11-26 00:00", "2026-12-01 00:00", []string{"2026-11-27 06:00 UTC", "2026-11-28 06:00 UTC", "2026-11-29 06:00 UTC"}},
		{"0 0 1 * 1", "2026-11-29 00:00", "2026-12-03 00:00", []string{"2026-11-30 00:00 UTC", "2026-12-01 00:00 UTC"}},
		{"0 0 29 feb *", "2095-01-01 00:00", "2105-01-01 00:00", []string{"2096-02-29 00:00 UTC", "2104-02-29 00:00 UTC"}},
		{"5/20 8-10/2 1 JAN *", "2026-01-01 00:00", "2026-01-02 00:00", []string{"2026-01-01 08:05 UTC", "2026-01-01 08:25 UTC", "2026-01-01 08:45 UTC", "2026-01-01 10:05 UTC", "2026-01-01 10:25 UTC", "2026-01-01 10:45 UTC"}},
		{"0 0 31 * *", "2026-04-01 00:00", "2026-06-01 00:00", []string{"2026-05-31 00:00 UTC"}},
	}
	for _, tt := range tests {
		got := firings(t, tt.cron, "UTC", tt.from, tt.to)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.cron, diff)
		}
	}
}

func TestParseCronErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                         "has 0 fields, want 5",
		"0 6 * *":                  "has 4 fields, want 5",
		"0 6 * * * *":              "has 6 fields, want 5",
		"60 6 * * *":               `minute "60" is not a value from 0 to 59`,
		"0 24 * * *":               `hour "24" is not a value from 0 to 23`,
		"0 6 0 * *":                `day of month "0" is not a value from 1 to 31`,
		"0 6 * foo *":              `month "foo" is not a value from 1 to 12 or a name such as feb`,
		"0 6 * * 8":                `day of week "8" is not a value from 0 to 7 or a name such as mon`,
		"*/0 * * * *":              `the step is a number from 1 to 59`,
		"30-10 * * * *":            "the range ends before it begins",
		"0 0 30 2 *":               "never fires",
		"0 0 31 4,6 *":             "never fires",
		"@often":                   "use @hourly, @daily",
		", * * * *":                `minute "" is not a value`,
		"+5 * * * *":               `minute "+5" is not a value`,
		strings.Repeat("1,", 1000): "at most 512 characters",
	}
	for text, want := range tests {
		_, err := schedule.ParseCron(text, time.UTC)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an invalid error with %q", text, err, want)
		}
	}
}

// TestCronIsMonotonic compares with the plainest reading of an expression, minute by
// minute, wherever the clock does not change.
func TestCronIsMonotonic(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{time.UTC, zone(t, "America/New_York"), zone(t, "Australia/Lord_Howe"), zone(t, "Africa/Casablanca"), zone(t, "Pacific/Apia")}
	rapid.Check(t, func(t *rapid.T) {
		loc := rapid.SampledFrom(zones).Draw(t, "zone")
		text := rapid.StringMatching(`(\*|[0-9]|[1-5][0-9])(/([1-9]|[1-4][0-9]))? (\*|[0-9]|1[0-9]|2[0-3])(/[1-9])? (\*|[1-9]|1[0-9]|2[0-8]) \* (\*|[0-6])`).Draw(t, "cron")
		c, err := schedule.ParseCron(text, loc)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		start := time.Unix(rapid.Int64Range(1262304000, 1893456000).Draw(t, "start"), 0)
		last, n := start, 0
		for at := range c.After(start) {
			if !at.After(last) {
				t.Fatalf("%s in %s: %s after %s", text, loc, at, last)
			}
			if next, ok := schedule.Next(c, at.Add(-1)); !ok || !next.Equal(at) {
				t.Fatalf("%s in %s: Next(%s) = %s, want %s", text, loc, at.Add(-1), next, at)
			}
			last = at
			if n++; n == 20 {
				break
			}
		}
		if n < 20 {
			t.Fatalf("%s in %s ends after %d", text, loc, n)
		}
	})
}

func TestEvery(t *testing.T) {
	t.Parallel()
	anchor := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	e, err := schedule.NewEvery(anchor, 15*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Duration{
		0: 15 * time.Minute, -1: 0, time.Minute: 15 * time.Minute, -time.Hour: -45 * time.Minute,
		-50 * time.Minute: -45 * time.Minute, 24 * time.Hour: 24*time.Hour + 15*time.Minute,
	} {
		if got, _ := schedule.Next(e, anchor.Add(after)); !got.Equal(anchor.Add(want)) {
			t.Errorf("after %s: got %s, want %s", after, got, anchor.Add(want))
		}
	}
	for _, bad := range []time.Duration{0, -time.Hour, time.Second, 90*time.Second + 1} {
		if _, err := schedule.NewEvery(anchor, bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: got %v, want an invalid error", bad, err)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	base := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	hourly, err := schedule.ParseCron("0 * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) time.Time { return base.Add(d) }
	tests := []struct {
		name      string
		last, now time.Duration
		policy    schedule.CatchUp
		want      []time.Duration
		next      time.Duration
	}{
		{"nothing is due", 0, 30 * time.Minute, schedule.CatchUpNone, nil, time.Hour},
		{"on time", 0, time.Hour, schedule.CatchUpNone, []time.Duration{time.Hour}, 2 * time.Hour},
		{"within the grace", 0, time.Hour + 50*time.Second, schedule.CatchUpNone, []time.Duration{time.Hour}, 2 * time.Hour},
		{"missed, none", 0, 3*time.Hour + 30*time.Minute, schedule.CatchUpNone, nil, 4 * time.Hour},
		{"missed, last", 0, 3*time.Hour + 30*time.Minute, schedule.CatchUpLast, []time.Duration{3 * time.Hour}, 4 * time.Hour},
		{"missed, all", 0, 3*time.Hour + 30*time.Minute, schedule.CatchUpAll, []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, 4 * time.Hour},
		{"the clock went back", 5 * time.Hour, 3 * time.Hour, schedule.CatchUpAll, nil, 6 * time.Hour},
		{"none: missed ones are dropped, the one on time is not", 0, 2 * time.Hour, schedule.CatchUpNone, []time.Duration{2 * time.Hour}, 3 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fire, next := schedule.Due(hourly, at(tt.last), at(tt.now), tt.policy)
			var got []time.Duration
			for _, f := range fire {
				got = append(got, f.Sub(base))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if next.Sub(base) != tt.next {
				t.Errorf("next: got %s, want %s", next, at(tt.next))
			}
		})
	}
}

// TestDueIsBounded: a year of missed minutes yields the latest hundred.
func TestDueIsBounded(t *testing.T) {
	t.Parallel()
	c, err := schedule.ParseCron("* * * * *", zone(t, "Europe/Berlin"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	fire, _ := schedule.Due(c, now.AddDate(-1, 0, 0), now, schedule.CatchUpAll)
	if len(fire) != schedule.MaxCatchUp || !fire[len(fire)-1].Equal(now) {
		t.Errorf("got %d firings up to %s, want %d up to %s", len(fire), fire[len(fire)-1], schedule.MaxCatchUp, now)
	}
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 6 * * *", "*/5 8-18 1,15 jan-mar mon", "@weekly", "5/10 * * * 7", "0 0 29 2 *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := schedule.ParseCron(text, time.UTC)
		if err != nil {
			return
		}
		again, err := schedule.ParseCron(c.String(), time.UTC)
		if err != nil {
			t.Fatalf("%q is printed as %q: %v", text, c, err)
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		first, ok := schedule.Next(c, from)
		same, _ := schedule.Next(again, from)
		if !ok || !first.Equal(same) {
			t.Fatalf("%q: %s (%v), parsed again %s", text, first, ok, same)
		}
	})
}
