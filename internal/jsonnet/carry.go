package jsonnet

import (
	"slices"
	"strconv"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"
)

// carrier is the name under which a program that tells its places imports
// carrying.
const carrier = "<functions that carry places>"

// dataPlaces is the native function that gives the places in a data file by its
// text: JSON pointer → place.
const dataPlaces = "refline_data_places"

// carrying are those functions of std that make new objects of others and leave
// out what is hidden, or make objects of data. Here they do the same, but carry on
// what the objects tell of their places, or add what the data file tells.
const carrying = `
local told(x) = if std.isObject(x) && '` + tell + `' in x then x.` + tell + ` else {};
local itself(x) =
  local t = told(x);
  if '` + tell + `' in t then { ['` + tell + `']: t.` + tell + ` } else {};
local filled(x) =
  if std.isArray(x) || std.isObject(x) then std.length(x) > 0 else x != null;
local escape(k) = std.strReplace(std.strReplace(k, '~', '~0'), '/', '~1');
local placed(str, value) =
  local places = std.native('` + dataPlaces + `')(str);
  local at(pointer) = if pointer in places then places[pointer] else '';
  local walk(x, pointer) =
    if std.isArray(x) then std.mapWithIndex(function(i, e) walk(e, pointer + '/' + i), x)
    else if !std.isObject(x) then x
    else
      { [k]: walk(x[k], pointer + '/' + escape(k)) for k in std.objectFields(x) } +
      { ` + tell + `:: { '` + tell + `': [at(pointer)] } + {
        [k]: [at(pointer + '/' + escape(k))] +
             if std.isArray(x[k]) then std.mapWithIndex(function(i, e) at(pointer + '/' + escape(k) + '/' + i), x[k]) else []
        for k in std.objectFields(x)
      } };
  if places == {} then value else walk(value, '');
{
  mergePatch(target, patch)::
    local merge(old, new) =
      if !std.isObject(new) then new
      else
        local base = if std.isObject(old) then old else {};
        local get(k) = if std.objectHas(base, k) then base[k] else null;
        { [k]: base[k] for k in std.objectFields(base) if !std.objectHas(new, k) } +
        { [k]: merge(get(k), new[k]) for k in std.objectFields(new) if new[k] != null } +
        { ` + tell + `:: told(base) + told(new) + itself(base) };
    merge(target, patch),
  prune(a)::
    local prune(x) =
      if std.isArray(x) then [e for e in std.map(prune, x) if filled(e)]
      else if std.isObject(x) then
        { [k]: prune(x[k]) for k in std.objectFields(x) if filled(prune(x[k])) } + { ` + tell + `:: told(x) }
      else x;
    prune(a),
  parseYaml(str):: placed(str, std.parseYaml(str)),
  parseJson(str):: placed(str, std.parseJson(str)),
}
`

// carries reports whether an expression is the name of a function that carrying
// has, as std.prune.
func carries(n ast.Node) (std *ast.Var, ok bool) {
	dot, ok := n.(*ast.Index)
	if !ok || dot.Id == nil || !slices.Contains([]string{"mergePatch", "prune", "parseYaml", "parseJson"}, string(*dot.Id)) {
		return nil, false
	}
	std, ok = dot.Target.(*ast.Var)
	return std, ok && std.Id == "std"
}

// dataFunction finds the places in a data file that was imported as a text. Without
// one the answer is empty. Several files of the same text count as the first.
func (imp *importer) dataFunction(places func(file string, text []byte) Locations) *gojsonnet.NativeFunction {
	return &gojsonnet.NativeFunction{Name: dataPlaces, Params: ast.Identifiers{"text"}, Func: func(args []any) (any, error) {
		out := map[string]any{}
		text, ok := args[0].(string)
		if !ok || places == nil {
			return out, nil
		}
		for _, name := range imp.read {
			if e := imp.files[textPrefix+name]; !e.exists || e.contents.String() != text {
				continue
			}
			for pointer, p := range places(name, []byte(text)) {
				out[pointer] = p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
			}
			break
		}
		return out, nil
	}}
}
