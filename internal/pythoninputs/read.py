# Reads what a script takes from its source, without running it. Source on standard
# input, JSON on standard output. Run with -I.
import ast, json, sys

try:
    import resource

    for kind, most in (("RLIMIT_AS", 256 << 20), ("RLIMIT_CPU", 5), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, kind), (most, most))
        except Exception:  # macOS has no limit of memory
            pass
except ImportError:
    pass

FLOWS = ("refline", "prefect")
TYPES = {"int": "integer", "float": "number", "str": "text", "bool": "boolean", "list": "list", "List": "list", "tuple": "list", "Sequence": "list",
         "date": "date", "datetime": "datetime", "dict": "json", "Dict": "json"}


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return head + "." + node.attr if head else ""
    return ""


def names_of(tree):
    """Local name -> what it is: flow -> refline.flow, rl -> refline."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                names[a.asname or a.name.split(".")[0]] = a.name if a.asname else a.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for a in node.names:
                names[a.asname or a.name] = node.module + "." + a.name
    return names


def resolve(node, names):
    name = dotted(node)
    head, _, rest = name.partition(".")
    full = names.get(head, head)
    return full + "." + rest if rest else full


def names_last(name):
    return name.split(".")[-1]


def slice_of(node):
    inner = node.slice
    return inner.value if type(inner).__name__ == "Index" else inner  # Python 3.8


def unquoted(node):
    """An annotation that may be written as a text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError):
            pass
    return node


def literal(node):
    try:
        value = ast.literal_eval(node)
        json.dumps(value, allow_nan=False)
        if isinstance(value, (int, float)):
            float(value)
        return True, value
    except Exception:
        return False, None


def typed(node, names, out):
    """Fills out['type'] and out['options'] from an annotation."""
    node = unquoted(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts = [p for p in (node.left, node.right) if not (isinstance(p, ast.Constant) and p.value is None)]
        if len(parts) == 1:
            out["optional"] = True
            typed(parts[0], names, out)
        return
    if isinstance(node, ast.Subscript):
        kind = resolve(node.value, names).split(".")[-1]
        inner = slice_of(node)
        if kind == "Optional":
            out["optional"] = True
            typed(inner, names, out)
        elif kind == "Literal":
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            known = [literal(v) for v in values]
            if known and all(ok and isinstance(v, (str, int, float)) for ok, v in known):
                out["options"] = [str(v) for _, v in known]
                kinds = {type(v) for _, v in known}
                out["type"] = "integer" if kinds == {int} else "text"
        elif kind == "Annotated" and isinstance(inner, ast.Tuple) and inner.elts:
            typed(inner.elts[0], names, out)
            for extra in inner.elts[1:]:
                if isinstance(extra, ast.Call):
                    limits(extra, out)
        elif kind in TYPES:
            out["type"] = TYPES[kind]
        return
    kind = resolve(node, names).split(".")[-1]
    if kind in TYPES:
        out["type"] = TYPES[kind]
    elif kind in out["enums"]:
        out["type"], out["options"] = "text", list(out["enums"][kind].values())


def limits(call, out):
    for k in call.keywords:
        ok, v = literal(k.value)
        if ok and isinstance(v, (int, float)) and not isinstance(v, bool):
            if k.arg in ("ge", "gt"):
                out["min"], out["min_open"] = v, k.arg == "gt"
            elif k.arg in ("le", "lt"):
                out["max"], out["max_open"] = v, k.arg == "lt"
        elif ok and k.arg in ("pattern", "regex") and isinstance(v, str):
            out["regex"] = v


def enums(tree, names):
    """Enums of the file: name -> member -> value."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(resolve(b, names).split(".")[-1] in ("Enum", "StrEnum", "IntEnum") for b in node.bases):
            values = {}
            for s in node.body:
                if isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name):
                    ok, v = literal(s.value)
                    values[s.targets[0].id] = str(v) if ok and isinstance(v, (str, int)) else None
            if values and None not in values.values():
                found[node.name] = values
    return found


def default(node, out):
    ok, value = literal(node)
    out["has_default"] = True
    if ok:
        out["default"] = value
    else:
        try:
            out["default_code"] = ast.unparse(node)[:500]
        except Exception:  # too deep, or a number that is too long to be written
            out["default_code"] = "…"


def parameters(fn, names, classes):
    out = []
    args = fn.args
    plain = args.posonlyargs + args.args
    pairs = list(zip(plain, [None] * (len(plain) - len(args.defaults)) + args.defaults)) + list(zip(args.kwonlyargs, args.kw_defaults))
    for a, d in pairs:
        p = {"name": a.arg, "line": a.lineno, "type": "any", "enums": classes}
        if a.annotation is not None:
            typed(a.annotation, names, p)
        if d is not None:
            default(d, p)
        del p["enums"]
        out.append(p)
    return out


def flows(tree, names):
    classes = enums(tree, names)
    found = []
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for d in node.decorator_list:
            call = d if isinstance(d, ast.Call) else None
            full = resolve(call.func if call else d, names).split(".")
            if full[0] not in FLOWS or full[-1] != "flow":
                continue
            name = node.name
            for k in call.keywords if call else []:
                ok, v = literal(k.value)
                if k.arg == "name" and ok and isinstance(v, str) and v:
                    name = v
            doc = ast.get_docstring(node) or ""
            found.append({"name": name, "function": node.name, "line": node.lineno, "doc": doc.split("\n\n")[0][:500], "of": full[0],
                          "any": node.args.kwarg is not None, "parameters": parameters(node, names, classes)})
            break
    return found


def called(tree, functions):
    """Whether the file calls a flow by itself, apart from `if __name__ == ...`."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
            continue
        for c in ast.walk(node):
            if isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id in functions:
                return True
    return False


def chosen(tree, found):
    """The flow that the file means if none is named: the only one, the one that a
    module attribute `flow` names, or the only one that the block of __main__ calls; and
    whether the attribute says so."""
    functions = [f["function"] for f in found]
    if len(functions) == 1:
        return functions[0], False
    attribute, main = None, set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "flow" for t in node.targets):
            attribute = node.value.id if isinstance(node.value, ast.Name) else None
        if isinstance(node, ast.If) and is_main(node.test):
            main.update(c.func.id for c in ast.walk(node) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id in functions)
    if attribute in functions:
        return attribute, True
    return main.pop() if len(main) == 1 else "", False


def answer(source):
    try:
        tree = ast.parse(source)
    except SyntaxError as e:
        return {"error": str(e.msg)[:200], "line": e.lineno or 0}
    names = names_of(tree)
    found = flows(tree, names)
    out = {"flows": found, "called": called(tree, {f["function"] for f in found})}
    out["chosen"], out["attribute"] = chosen(tree, found)
    try:
        line = command(tree, names)
        if line is not None:
            out["options"], out["more"] = line
    except Unread as e:
        out["unread"] = str(e)[:200]
        line = True
    if line is not None:
        out["called"] = True  # it reads its arguments by itself
    return out


def main():
    source = sys.stdin.buffer.read()
    sys.setrecursionlimit(3000)
    try:
        text = json.dumps(answer(source), allow_nan=False)
    except RecursionError:
        text = json.dumps({"error": "it is nested too deep"})
    except Exception as e:  # whatever the source is, there is an answer
        text = json.dumps({"error": str(e)[:200] or type(e).__name__})
    sys.stdout.write(text)


main()
