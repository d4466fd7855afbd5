package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/stack"
	"refline/internal/termview"
)

// stackView prints an operation as it goes: one line for each resource that is
// done or fails, and on a terminal one live line of what is at work.
type stackView struct {
	e      *env
	turn   *turns
	name   string // before each line when several stacks are at work
	atWork map[string]bool
	live   bool // a live line is on the screen
}

func newStackView(e *env, turn *turns, name string) *stackView {
	return &stackView{e: e, turn: turn, name: name, atWork: map[string]bool{}}
}

func (v *stackView) emit(p stack.Progress) {
	v.turn.do(func() {
		v.clear()
		if p.ID == "" {
			if p.Reason != "" || !p.Status.InProgress() {
				v.linef("%s %s  %s%s", symbolOf(p.Status), p.StackName, p.Status, reasonOf(p.Reason))
			}
		} else if p.Status.InProgress() {
			v.atWork[p.ID] = true
		} else {
			delete(v.atWork, p.ID)
			v.linef("%s %-30s %-28s %s  %s%s", symbolOf(p.Status), p.ID, p.Type, p.Status, tookText(p.Took), reasonOf(failureOf(p)))
		}
		v.draw(p)
	})
}

func failureOf(p stack.Progress) string {
	if p.Status.Bad() {
		return p.Reason
	}
	return ""
}

func (v *stackView) linef(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if v.name != "" {
		line = v.name + "  " + line
	}
	fmt.Fprintln(v.e.notes(), "  "+strings.TrimRight(line, " "))
}

// draw and clear keep one live line, when stderr's reader is a person and only
// one stack is at work.
func (v *stackView) draw(p stack.Progress) {
	if !v.e.terminal || v.e.quiet || v.name != "" || len(v.atWork) == 0 {
		return
	}
	text := fmt.Sprintf("  … %d at work", len(v.atWork))
	if p.Total > 0 {
		text += fmt.Sprintf(", %d of %d done", min(p.Done, p.Total), p.Total)
	}
	fmt.Fprint(v.e.stderr, text)
	v.live = true
}

func (v *stackView) clear() {
	if v.live {
		fmt.Fprint(v.e.stderr, "\r\x1b[K")
		v.live = false
	}
}

func (v *stackView) end() { v.turn.do(v.clear) }

func symbolOf(s stack.Status) string {
	switch {
	case s.InProgress():
		return "…"
	case s.Bad():
		return "✗"
	default:
		return "✓"
	}
}

func reasonOf(reason string) string {
	if reason == "" {
		return ""
	}
	return "  " + planfile.Plain(reason)
}

func tookText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return termview.Seconds(d.Seconds())
}

// printDeployment sums up what came of an operation: the answer first, then
// why, then what to do.
func printDeployment(e *env, d *stack.Deployment, done, nothing string) {
	took := ""
	if d.Took > 0 {
		took = " in " + tookText(d.Took)
	}
	if d.Empty {
		fmt.Fprintf(e.stdout, "%s: %s\n", d.StackName, nothing)
		return
	}
	if d.Good {
		fmt.Fprintf(e.stdout, "%s %s%s\n", d.StackName, done, took)
		printRetained(e, d)
		for _, o := range d.Outputs {
			fmt.Fprintf(e.stdout, "  %s = %s\n", planfile.Plain(o.Key), planfile.Plain(o.Value))
		}
		return
	}
	fmt.Fprintf(e.stdout, "%s failed%s: %s\n", d.StackName, took, d.Status)
	for i, c := range d.Causes {
		label := "root cause"
		if i > 0 {
			label = "then"
		}
		fmt.Fprintf(e.stdout, "  %s: %s (%s) %s: %s\n", label, planfile.Plain(c.ID), planfile.Plain(c.Type), c.Status, planfile.Plain(c.Reason))
		if c.Place != nil {
			fmt.Fprintf(e.stdout, "    %s\n", c.Place)
		}
		if c.Hint != "" {
			fmt.Fprintf(e.stdout, "    %s\n", c.Hint)
		}
	}
	printRetained(e, d)
	if d.Recovery != nil {
		fmt.Fprintf(e.stdout, "  now: %s\n", d.Recovery)
	}
}

// printRetained lists what exists and is in no stack any more.
func printRetained(e *env, d *stack.Deployment) {
	for _, r := range d.Retained {
		fmt.Fprintf(e.stdout, "  kept, in no stack: %s\n", planfile.Plain(r.String()))
	}
}

// table lines up cells that tabs divide; print writes it, without the blanks
// at the ends of lines.
type table struct {
	*tabwriter.Writer
	text strings.Builder
}

func newTable() *table {
	t := &table{}
	t.Writer = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) print(w io.Writer) error {
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(t.text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
