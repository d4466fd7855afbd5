package pipeline_test

import (
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		text string
		want time.Duration
	}{
		{"42", 42 * time.Second},
		{"42 seconds", 42 * time.Second},
		{"3 mins 4 sec", 3*time.Minute + 4*time.Second},
		{"2 hrs 20 min", 2*time.Hour + 20*time.Minute},
		{"2h20min", 2*time.Hour + 20*time.Minute},
		{"1h 30m", 90 * time.Minute},
		{"3 hours 20 min", 200 * time.Minute},
		{"6 mos 1 day", 181 * day},
		{"47 yrs 6 mos and 4d", time.Duration(47*365.25*float64(day)) + 184*day},
		{"3 weeks and 2 days", 23 * day},
		{"1.5 hours", 90 * time.Minute},
		{".5 min", 30 * time.Second},
		{"1 hour, 5 minutes", 65 * time.Minute},
		{"1 Day", day},
		{"1h 30", time.Hour + 30*time.Second},
		{"1:30:15", time.Hour + 30*time.Minute + 15*time.Second},
		{"4:20", 4*time.Minute + 20*time.Second},
		{"  10   m ", 10 * time.Minute},
		{"never", 0},
		{"Never", 0},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			got, err := pipeline.ParseDuration(tt.text)
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	for _, text := range []string{"", "soon", "0", "0 days", "1 fortnight", "hours", "1 2 min", "-1 h", "1e3", "nan", "inf", "1..2", ":", "1::2", "1:2:3:4:5", "never 1", "and", "999999999999 years", "10 m x"} {
		if got, err := pipeline.ParseDuration(text); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %s, %v, want an error of kind invalid", text, got, err)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"1h 30m", "1:2:3", "never", "4d and 1.5 yrs", "99999999999999 y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := pipeline.ParseDuration(text)
		if d < 0 || err != nil && (d != 0 || !errs.Is(err, errs.Invalid)) {
			t.Fatalf("%q: %v, %v", text, d, err)
		}
	})
}
