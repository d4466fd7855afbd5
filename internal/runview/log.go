package runview

import (
	"fmt"
	"io"
	"os"

	"refline/internal/termview"
)

// Log writes the log in a file: as it is stored, or line by line with its sections.
func Log(w io.Writer, file string, raw, color bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if raw {
		_, err = io.Copy(w, f)
		return err
	}
	lines := &termview.LogLines{Plain: !color, Line: func(s string) { fmt.Fprintln(w, s) }}
	if _, err := io.Copy(lines, f); err != nil {
		return err
	}
	lines.Flush()
	return nil
}
