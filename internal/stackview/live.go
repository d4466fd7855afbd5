package stackview

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"refline/internal/stack"
)

// Turns lets stacks that are at work at the same time print one after the other.
type Turns struct{ mu sync.Mutex }

// Do calls f while no other f runs.
func (t *Turns) Do(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// Live prints an operation as it goes: one line for each resource that is done
// or fails, and on a terminal one live line of what is at work.
type Live struct {
	Turns *Turns
	Lines io.Writer
	// Screen is the terminal for the live line, nil for none.
	Screen io.Writer
	// Name begins each line when several stacks are at work.
	Name string

	atWork map[string]bool
	drawn  bool // a live line is on the screen
}

// Emit shows one event.
func (v *Live) Emit(p stack.Progress) {
	v.Turns.Do(func() {
		v.clear()
		switch {
		case p.ID == "":
			if p.Reason != "" || !p.Status.InProgress() {
				v.linef("%s %s  %s%s", symbol(p.Status), p.StackName, p.Status, reason(p.Reason))
			}
		case p.Status.InProgress():
			if v.atWork == nil {
				v.atWork = map[string]bool{}
			}
			v.atWork[p.ID] = true
		default:
			delete(v.atWork, p.ID)
			v.linef("%s %-30s %-28s %s  %s%s", symbol(p.Status), p.ID, p.Type, p.Status, duration(p.Took), failure(p))
		}
		v.draw(p)
	})
}

// End removes the live line.
func (v *Live) End() { v.Turns.Do(v.clear) }

func failure(p stack.Progress) string {
	if !p.Status.Bad() {
		return ""
	}
	return reason(p.Reason)
}

func (v *Live) linef(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if v.Name != "" {
		line = v.Name + "  " + line
	}
	fmt.Fprintln(v.Lines, "  "+strings.TrimRight(line, " "))
}

func (v *Live) draw(p stack.Progress) {
	if v.Screen == nil || v.Name != "" || len(v.atWork) == 0 {
		return
	}
	text := fmt.Sprintf("  … %d at work", len(v.atWork))
	if p.Total > 0 {
		text += fmt.Sprintf(", %d of %d done", min(p.Done, p.Total), p.Total)
	}
	fmt.Fprint(v.Screen, text)
	v.drawn = true
}

func (v *Live) clear() {
	if v.drawn {
		fmt.Fprint(v.Screen, "\r\x1b[K")
		v.drawn = false
	}
}
