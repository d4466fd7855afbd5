package jsonnet

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"refline/internal/diag"
	"refline/internal/errs"
)

// catcher keeps the error that the machine would otherwise turn into text.
type catcher struct{ err error }

func (c *catcher) Format(err error) string                      { c.err = err; return err.Error() }
func (c *catcher) SetMaxStackTraceSize(int)                     {}
func (c *catcher) SetColorFormatter(_ gojsonnet.ColorFormatter) {}

func (c *catcher) or(err error) error {
	if c.err != nil {
		return c.err
	}
	return err
}

// static is an error of the text itself: it does not parse, or a name in it
// means nothing.
type static interface {
	error
	Loc() ast.LocationRange
}

// explain turns an error of the machine into a finding. An error that already
// has a kind passes.
func explain(ctx context.Context, vm *gojsonnet.VM, imp *importer, in Input, err error) error {
	var runtime gojsonnet.RuntimeError
	var fixed static
	switch {
	case errors.As(err, &fixed):
		return diag.List{atStatic(fixed)}.Err()
	case errors.As(err, &runtime):
		f, output := atRuntime(runtime, in.MaxTrace)
		if inner := parseError(vm, imp, runtime.Msg); inner != nil {
			g := atStatic(inner)
			g.Related = append([]diag.Related{{Place: f.Place, Message: "imported here"}}, f.Related...)
			f = g
		}
		f.Hint = hintFor(imp, runtime, f)
		if f.Place.IsZero() {
			f.Place = placeOfOutput(ctx, in, runtime.Msg, output)
		}
		return diag.List{f}.Err()
	case errs.KindOf(err) != errs.Internal:
		return err
	case imp.lost[err.Error()] != "":
		return errs.E(errs.NotFound, "%s: no such file", imp.main)
	case strings.HasPrefix(err.Error(), "(CRASH) "):
		first, _, _ := strings.Cut(err.Error(), "\n")
		return errs.E(errs.Internal, "jsonnet: %s", first)
	default:
		return errs.E(errs.Unavailable, "%w", err)
	}
}

func atStatic(err static) diag.Finding {
	loc := err.Loc()
	place, width := placeOf(loc)
	message := strings.TrimSpace(strings.TrimPrefix(err.Error(), loc.String()))
	return diag.Finding{Place: place, Width: width, Level: diag.Error, Message: message}
}

// atRuntime puts the finding at the innermost frame that is in a file of the
// user; the frames around it follow, the nearest first. Frames without a line
// (an element that is being printed) are told with the nearest one that has.
// output is the path in the output that was being printed.
func atRuntime(err gojsonnet.RuntimeError, maxTrace int) (f diag.Finding, output []string) {
	f = diag.Finding{Level: diag.Error, Message: err.Msg}
	for i := len(err.StackTrace) - 1; i >= 0; i-- {
		frame := err.StackTrace[i]
		place, width := placeOf(frame.Loc)
		switch {
		case place.File == "<std>":
		case f.Place.IsZero() && place.Line > 0:
			f.Place, f.Width = place, width
			if frame.Name != "" {
				f.Related = append(f.Related, diag.Related{Place: place, Message: "in " + frame.Name})
			}
		case place.Line > 0:
			f.Related = append(f.Related, diag.Related{Place: place, Message: frame.Name})
		case frame.Loc.FileName == "During manifestation":
		default:
			if step, ok := outputStep(frame.Loc.FileName); ok {
				output = append(output, step)
			} else if frame.Loc.FileName != "" {
				f.Related = append(f.Related, diag.Related{Message: frame.Loc.FileName})
			}
		}
	}
	f.Related = shorten(f.Related, maxTrace)
	if len(output) > 0 {
		slices.Reverse(output)
		const most = 20
		shown := output
		if len(shown) > most {
			shown = append(slices.Clone(shown[:most]), "…")
		}
		f.Related = append(f.Related, diag.Related{Message: "for " + strings.Join(shown, ".") + " of the output"})
	}
	return f, output
}

// placeOfOutput is where a value of the output was written, else the beginning of
// the program: for errors that are at no line because the value is only printed.
func placeOfOutput(ctx context.Context, in Input, message string, output []string) diag.Place {
	if strings.HasPrefix(message, "couldn't manifest") {
		if place, ok := locateStep(ctx, in, output); ok {
			return place
		}
	}
	if in.File != "" {
		return diag.Place{File: in.File, Line: 1}
	}
	return diag.Place{File: in.Name, Line: 1}
}

// outputStep reads a frame that stands for a field or an element of the output.
func outputStep(frame string) (string, bool) {
	if name, ok := strings.CutPrefix(frame, "Field "); ok {
		if text, err := strconv.Unquote(name); err == nil {
			return text, true
		}
	}
	return strings.CutPrefix(frame, "Array element ")
}

// shorten keeps both ends of a deep stack, as the jsonnet command does.
func shorten(stack []diag.Related, most int) []diag.Related {
	if most == 0 {
		most = 20
	}
	if most < 0 || len(stack) <= most {
		return stack
	}
	end := most / 2
	out := append([]diag.Related{}, stack[:most-end]...)
	out = append(out, diag.Related{Message: "…"})
	return append(out, stack[len(stack)-end:]...)
}

// parseError finds the error of an imported file again: the machine reports it
// at the import, as text that begins with the file's name.
func parseError(vm *gojsonnet.VM, imp *importer, msg string) static {
	for _, name := range imp.read {
		if !strings.HasPrefix(msg, name+":") {
			continue
		}
		_, _, err := vm.ImportAST("", name)
		var s static
		if errors.As(err, &s) && s.Error() == msg {
			return s
		}
	}
	return nil
}

func hintFor(imp *importer, err gojsonnet.RuntimeError, f diag.Finding) string {
	name, missing := strings.CutPrefix(err.Msg, "Missing argument: ")
	ext, undefined := strings.CutPrefix(err.Msg, "Undefined external variable: ")
	switch {
	case imp.lost[err.Msg] != "":
		return imp.lost[err.Msg]
	case strings.HasPrefix(err.Msg, "max stack frames exceeded"):
		return "a recursion that does not end? if it does, allow more with --max-stack"
	case undefined:
		return "give it a value: --ext-str " + ext + "=… or --ext-code " + ext + "=…"
	case missing && f.Line == 0:
		return "give it a value: --tla-str " + name + "=… or --tla-code " + name + "=…"
	default:
		return ""
	}
}

// placeOf gives a range's beginning, its column in characters, and its width
// when it stays on one line.
func placeOf(loc ast.LocationRange) (diag.Place, int) {
	if !loc.IsSet() || loc.File == nil {
		return diag.Place{}, 0
	}
	p := diag.Place{File: string(loc.File.DiagnosticFileName), Line: loc.Begin.Line, Column: loc.Begin.Column}
	if p.File == "" {
		p.File = loc.FileName
	}
	if p.Line > len(loc.File.Lines) {
		return p, 0
	}
	line := loc.File.Lines[p.Line-1]
	begin := min(max(loc.Begin.Column-1, 0), len(line))
	p.Column = utf8.RuneCountInString(line[:begin]) + 1
	if loc.End.Line != loc.Begin.Line {
		return p, max(utf8.RuneCountInString(strings.TrimRight(line[begin:], " \r\n")), 1)
	}
	end := min(max(loc.End.Column-1, begin), len(line))
	return p, utf8.RuneCountInString(line[begin:end])
}
