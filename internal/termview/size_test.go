package termview

import "testing"

func TestParseBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1000": 1000, "12 B": 12, "256MiB": 256 << 20, "256mib": 256 << 20, "2 GB": 2e9, "1.5GiB": 3 << 29, "4k": 4096, " 3 tb ": 3e12,
		"": -1, "MiB": -1, "-1": -1, "1 XB": -1, "NaN": -1, "1e300": -1, "infinity": -1, "12 MiB free": -1,
	} {
		got, err := ParseBytes(text)
		if want < 0 {
			if err == nil {
				t.Errorf("%q: got %d, want an error", text, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
}
