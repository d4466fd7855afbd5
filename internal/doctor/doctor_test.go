package doctor

import "testing"

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"8.9p1": true, "9.2p1 Debian": true, "10.0p2": true, "8.8p1": false, "7.9": false, "": false, "8": false, "x.y": false,
	} {
		if got := atLeast(version, 8, 9); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}
