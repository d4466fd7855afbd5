package source

import "testing"

func TestPartialVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"1": true, "1.2": true, "0": true, "10.20": true,
		"": false, "1.2.3": false, "v1": false, "main": false, "1.x": false, "1.": false, "-1": false,
	} {
		if got := partialVersion(version); got != want {
			t.Errorf("partialVersion(%q) = %t, want %t", version, got, want)
		}
	}
}

func TestNewestVersion(t *testing.T) {
	t.Parallel()
	tags := []string{"1.2.3", "v1.10.0", "1.9.9", "2.0.0-rc1", "2.0", "v0.1.0", "release", "1.2.10", "10.0"}
	for prefix, want := range map[string]string{
		"": "v1.10.0", "1": "v1.10.0", "1.2": "1.2.10", "0": "v0.1.0", "2": "", "1.1": "", "10": "",
	} {
		if got := newestVersion(tags, prefix); got != want {
			t.Errorf("newestVersion(%q) = %q, want %q", prefix, got, want)
		}
	}
	if got := newestVersion(nil, ""); got != "" {
		t.Errorf("newestVersion of no tags = %q", got)
	}
}
