package jsonnet

import "github.com/google/go-jsonnet/ast"

// carrier is the name under which a program that tells its places imports
// carrying.
const carrier = "<functions that carry places>"

// carrying are those functions of std that make new objects of others and leave
// out what is hidden. Here they do the same, but carry on what the objects tell
// of their places.
const carrying = `
local told(x) = if std.isObject(x) && '` + tell + `' in x then x.` + tell + ` else {};
local itself(x) =
  local t = told(x);
  if '` + tell + `' in t then { ['` + tell + `']: t.` + tell + ` } else {};
local filled(x) =
  if std.isArray(x) || std.isObject(x) then std.length(x) > 0 else x != null;
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
}
`

// carries reports whether an expression is the name of a function that carrying
// has, as std.prune.
func carries(n ast.Node) (std *ast.Var, ok bool) {
	dot, ok := n.(*ast.Index)
	if !ok || dot.Id == nil || *dot.Id != "mergePatch" && *dot.Id != "prune" {
		return nil, false
	}
	std, ok = dot.Target.(*ast.Var)
	return std, ok && std.Id == "std"
}
