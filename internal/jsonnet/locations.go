package jsonnet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	gojsonnet "github.com/google/go-jsonnet"

	"refline/internal/diag"
)

// Locations tells which line of the source wrote each value of a result. Keys
// are JSON pointers (RFC 6901): "/Resources/Bucket/Properties"; "" is the whole.
type Locations map[string]diag.Place

// At gives the place of the value at pointer, or of its nearest parent that
// has one.
func (l Locations) At(pointer string) diag.Place {
	for {
		if p, ok := l[pointer]; ok {
			return p
		}
		cut := strings.LastIndexByte(pointer, '/')
		if cut < 0 {
			return l[""]
		}
		pointer = pointer[:cut]
	}
}

// Locate evaluates in once more, with every object telling where its fields
// were written, and returns their places. clean is the result of [Evaluate]:
// places count only when the telling changed nothing in it, else there is just
// the file itself. A field that several objects write has the place of the
// last one.
//
// Only the form [JSON] has places. An evaluation that fails here is not an
// error; only the end of ctx is.
func Locate(ctx context.Context, in Input, clean Result) (Locations, error) {
	whole := Locations{"": {File: in.File, Line: 1}}
	if in.File == "" {
		whole[""] = diag.Place{File: in.Name, Line: 1}
	}
	if in.Output != JSON {
		return whole, ctx.Err()
	}
	told, err := evaluateTelling[telling](ctx, in, "{ v: value, w: walk(value) }")
	if err != nil {
		return whole, ctx.Err()
	}
	var want any
	if json.Unmarshal([]byte(clean.Text), &want) != nil || !reflect.DeepEqual(want, told.Value) {
		return whole, nil
	}
	whole.add("", told.Where)
	return whole, nil
}

// telling is what the walker makes of a program.
type telling struct {
	Value any   `json:"v"`
	Where *node `json:"w"`
}

type node struct {
	Fields map[string]json.RawMessage `json:"m"` // "file:line:column", or a list of it and the elements'
	Object map[string]*node           `json:"o"`
	Array  []*node                    `json:"a"`
}

const walker = `
local walk(x) =
  if std.isObject(x) then {
    m: if '` + tell + `' in x then x.` + tell + ` else {},
    o: { [k]: walk(x[k]) for k in std.objectFields(x) if std.isObject(x[k]) || std.isArray(x[k]) },
  } else if std.isArray(x) then { a: [walk(e) for e in x] }
  else null;
local follow(x, steps) =
  [if std.isObject(x) && '` + tell + `' in x then x.` + tell + ` else {}] +
  if std.length(steps) == 0 then []
  else follow(x[if std.isArray(x) then std.parseInt(steps[0]) else steps[0]], steps[1:]);
local main = import %s;
local value = if std.isFunction(main) then main(%s) else main;
`

// locateStep gives the place of the value that the steps lead to, or of its
// nearest parent that has one. Nothing but the values on the way is evaluated, so
// that it works for a program that fails elsewhere.
func locateStep(ctx context.Context, in Input, steps []string) (diag.Place, bool) {
	const deepest, patience = 100, 5 * time.Second
	quoted, err := json.Marshal(steps)
	if err != nil || in.Output != JSON || len(steps) == 0 || len(steps) > deepest {
		return diag.Place{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	levels, err := evaluateTelling[[]map[string]json.RawMessage](ctx, in, fmt.Sprintf("follow(value, %s)", quoted))
	if err != nil {
		return diag.Place{}, false
	}
	where, pointer := Locations{}, ""
	for i, fields := range levels {
		if i > 0 {
			pointer += "/" + Escape(steps[i-1])
		}
		where.add(pointer, &node{Fields: fields})
	}
	place := where.At(pointer)
	return place, !place.IsZero()
}

// evaluateTelling evaluates in with every object telling its places, and gives what
// the Jsonnet expression result makes of its value.
func evaluateTelling[T any](ctx context.Context, in Input, result string) (T, error) {
	var zero T
	imp := newImporter(ctx, in)
	imp.transform = instrument
	imp.files[carrier] = entry{gojsonnet.MakeContents(carrying), true}
	main := in.File
	if main == "" {
		main = in.Name
		if main == "" {
			main = "<snippet>"
		}
		imp.provide(main, instrument(main, []byte(in.Snippet)))
	}
	var params, args []string
	for _, name := range slices.Sorted(maps.Keys(namesOf(in.Arguments))) {
		params, args = append(params, name), append(args, name+"="+name)
	}
	quoted, err := json.Marshal(main)
	if err != nil {
		return zero, err
	}
	code := fmt.Sprintf(walker, quoted, strings.Join(args, ", ")) + result
	if len(params) > 0 {
		code = "function(" + strings.Join(params, ", ") + ")" + code
	}
	// The walk itself stands on the stack: two frames a level.
	walk := in
	walk.File, walk.Name, walk.Snippet, walk.Trace = "", "<walk>", code, nil
	walk.MaxStack = 4*max(in.MaxStack, 500) + 1000
	vm, _ := newVM(walk, imp)
	vm.NativeFunction(imp.dataFunction(in.DataPlaces))
	return await(ctx, nil, func() (T, error) {
		if err := prepare(vm, imp, walk); err != nil {
			return zero, err
		}
		text, err := vm.EvaluateAnonymousSnippet(walk.Name, code)
		if err != nil {
			return zero, err
		}
		var t T
		err = json.Unmarshal([]byte(text), &t)
		return t, err
	})
}

func namesOf(bindings []Binding) map[string]bool {
	names := map[string]bool{}
	for _, b := range bindings {
		names[b.Name] = true
	}
	return names
}

// add puts the places of n, which stands at pointer, into l.
func (l Locations) add(pointer string, n *node) {
	if n == nil {
		return
	}
	for field, raw := range n.Fields {
		var places []string
		if json.Unmarshal(raw, &places) != nil {
			continue
		}
		at := pointer + "/" + Escape(field)
		if field == tell {
			at = pointer
			if _, known := l[at]; known && at != "" {
				continue
			}
		}
		for i, s := range places {
			if s == "" {
				continue
			}
			if i > 0 {
				l[at+"/"+strconv.Itoa(i-1)] = parsePlace(s)
			} else {
				l[at] = parsePlace(s)
			}
		}
	}
	for field, child := range n.Object {
		l.add(pointer+"/"+Escape(field), child)
	}
	for i, child := range n.Array {
		l.add(pointer+"/"+strconv.Itoa(i), child)
	}
}

// Escape writes one step of a JSON pointer.
func Escape(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
}

func parsePlace(s string) diag.Place {
	rest, column, _ := cutLast(s)
	file, line, _ := cutLast(rest)
	return diag.Place{File: file, Line: line, Column: column}
}

func cutLast(s string) (string, int, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, false
	}
	n, err := strconv.Atoi(s[i+1:])
	return s[:i], n, err == nil
}
