package runner

import (
	"os"
	"path/filepath"
	"testing"

	"refline/internal/api"
)

// TestJournal: the last whole line counts, also after a disk that was full took half
// of one.
func TestJournal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want api.JobPhase // "": the attempt had not been accepted
	}{
		"accepted":               {"\n{\"fence\":7,\"phase\":\"accepted\"}\n", api.PhaseAccepted},
		"two phases":             {"\n{\"fence\":7,\"phase\":\"accepted\"}\n\n{\"fence\":7,\"phase\":\"running\"}\n", api.PhaseRunning},
		"half a line at the end": {"\n{\"fence\":7,\"phase\":\"accepted\"}\n\n{\"fence\":7,\"pha", api.PhaseAccepted},
		"half a line between":    {"\n{\"fence\":7,\"phase\":\"accepted\"}\n\n{\"fence\":7,\"pha\n{\"fence\":7,\"phase\":\"finishing\"}\n", api.PhaseFinishing},
		"no line break yet":      {"\n{\"fence\":7,\"phase\":\"accepted\"}", ""},
		"empty":                  {"", ""},
		"another attempt's":      {"\n{\"fence\":8,\"phase\":\"accepted\"}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "7")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, journalFile), []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			list, err := readJournals(parent)
			if err != nil {
				t.Fatal(err)
			}
			var got api.JobPhase
			if len(list) == 1 {
				got = list[0].Phase
			}
			if got != tc.want {
				t.Errorf("got phase %q of %d journals, want %q", got, len(list), tc.want)
			}
		})
	}
}
