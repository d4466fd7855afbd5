package web

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                         "0.0 s",
		0:                                    "0.0 s",
		440 * time.Millisecond:               "0.4 s",
		9940 * time.Millisecond:              "9.9 s",
		9960 * time.Millisecond:              "10 s",
		59400 * time.Millisecond:             "59 s",
		59600 * time.Millisecond:             "1 min",
		time.Minute:                          "1 min",
		4*time.Minute + 12*time.Second:       "4 min 12 s",
		59*time.Minute + 59900*1e6:           "1 h",
		3*time.Hour + 5*time.Minute + 1e9:    "3 h 5 min",
		24 * time.Hour:                       "1 d",
		52*time.Hour + 10*time.Minute:        "2 d 4 h",
		time.Hour - 400*time.Millisecond:     "1 h",
		time.Minute + 500*time.Millisecond:   "1 min 1 s",
		23*time.Hour + 59*time.Minute + 59e9: "23 h 59 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func at(t *testing.T, zone string, now time.Time) *request {
	t.Helper()
	c := &request{Request: httptest.NewRequest("GET", "/", nil), now: now}
	if !c.wishes.setZone(zone) {
		t.Fatalf("no zone %s", zone)
	}
	return c
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 5, 48, 0, 0, time.UTC) // a Monday, 06:48 in Berlin
	c := at(t, "Europe/Berlin", now)
	for then, want := range map[time.Time]string{
		time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC):   "06:00",
		time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC): "00:30", // the day before in UTC
		time.Date(2026, 11, 22, 22, 30, 0, 0, time.UTC): "Sun 23:30",
		time.Date(2026, 11, 23, 23, 30, 0, 0, time.UTC): "Tue 00:30",
		time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC):   "1 Nov, 13:00",
		time.Date(2025, 11, 23, 5, 0, 0, 0, time.UTC):   "23 Nov 2025",
		time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC):    "1 Jul, 14:00", // summer time
	} {
		if got := c.short(then); got != want {
			t.Errorf("%s: %q, want %q", then, got, want)
		}
	}
	then := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	if got, want := string(c.Time(then)), `<time datetime="2026-11-23T05:00:00Z" title="2026-11-23 05:00:00 UTC">Mon 23 Nov, 06:00:00</time>`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(c.In(now.Add(72*time.Minute))), "in 1 h"; !contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if got := c.Clock(time.Time{}); got != "" {
		t.Errorf("no time: %q", got)
	}
}

func TestPlurals(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 runs", 1: "1 run", 2: "2 runs", 1284: "1,284 runs", 1234567: "1,234,567 runs"} {
		if got := count(n, "run", "runs"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := number(-1234); got != "-1,234" {
		t.Errorf("%q", got)
	}
}
