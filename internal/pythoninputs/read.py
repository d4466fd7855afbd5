# Reads what a script takes from its source, without running it. Source on standard
# input, JSON on standard output. Run with -I.
import ast, json, sys

try:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
except Exception:
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


def literal(node):
    try:
        value = ast.literal_eval(node)
        json.dumps(value)
        return True, value
    except Exception:
        return False, None


def typed(node, names, out):
    """Fills out['type'] and out['options'] from an annotation."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts = [p for p in (node.left, node.right) if not (isinstance(p, ast.Constant) and p.value is None)]
        if len(parts) == 1:
            out["optional"] = True
            typed(parts[0], names, out)
        return
    if isinstance(node, ast.Subscript):
        kind = resolve(node.value, names).split(".")[-1]
        inner = node.slice
        if isinstance(inner, ast.Index):  # Python 3.8
            inner = inner.value
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
        out["type"], out["options"] = "text", out["enums"][kind]


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
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(resolve(b, names).split(".")[-1] in ("Enum", "StrEnum", "IntEnum") for b in node.bases):
            values = []
            for s in node.body:
                if isinstance(s, ast.Assign) and len(s.targets) == 1:
                    ok, v = literal(s.value)
                    values.append(str(v) if ok and isinstance(v, (str, int)) else None)
            if values and None not in values:
                found[node.name] = values
    return found


def default(node, out):
    ok, value = literal(node)
    out["has_default"] = True
    if ok:
        out["default"] = value
    else:
        out["default_code"] = ast.unparse(node)[:500]


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


def parser(tree, names):
    """The options of the one argparse parser of a file; None if they are not certain."""
    parsers, options = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and resolve(node.value.func, names).endswith("ArgumentParser"):
            parsers.update(t.id for t in node.targets if isinstance(t, ast.Name))
    if len(parsers) != 1:
        return None
    loops = {id(c) for n in ast.walk(tree) if isinstance(n, (ast.For, ast.While, ast.ListComp)) for c in ast.walk(n)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        if node.func.attr in ("add_subparsers", "parse_known_args", "add_argument_group", "add_mutually_exclusive_group") and of in parsers:
            return None
        if node.func.attr != "add_argument" or of not in parsers:
            continue
        if id(node) in loops:
            return None
        flags = [literal(a)[1] for a in node.args]
        long = [f for f in flags if isinstance(f, str) and f.startswith("--")]
        if not long or None in flags:
            return None
        p = {"name": long[0][2:], "line": node.lineno, "type": "text", "flag": True}
        for k in node.keywords:
            ok, v = literal(k.value)
            if k.arg == "type":
                p["type"] = TYPES.get(resolve(k.value, names).split(".")[-1], "any")
            elif k.arg == "default":
                default(k.value, p)
            elif k.arg == "required":
                p["required"] = ok and bool(v)
            elif k.arg == "choices":
                if not ok or not isinstance(v, (list, tuple)):
                    return None
                p["options"] = [str(x) for x in v]
            elif k.arg == "action":
                if v not in ("store_true", "store"):
                    return None
                if v == "store_true":
                    p["type"], p["switch"] = "boolean", True
            elif k.arg == "help" and ok and isinstance(v, str):
                p["help"] = v[:500]
            elif k.arg in ("nargs", "const"):
                return None
        if not p.pop("required", False):
            p["has_default"] = True
        options.append(p)
    return options


def main():
    source = sys.stdin.buffer.read()
    sys.setrecursionlimit(3000)
    try:
        tree = ast.parse(source)
    except SyntaxError as e:
        json.dump({"error": str(e.msg)[:200], "line": e.lineno or 0}, sys.stdout)
        return
    except (ValueError, RecursionError, MemoryError) as e:
        json.dump({"error": str(e)[:200] or type(e).__name__}, sys.stdout)
        return
    try:
        names = names_of(tree)
        found = flows(tree, names)
        out = {"flows": found, "called": called(tree, {f["function"] for f in found})}
        if any(isinstance(n, ast.Call) and resolve(n.func, names).endswith("ArgumentParser") for n in ast.walk(tree)):
            out["called"] = True  # it reads its arguments by itself
            options = parser(tree, names)
            if options is not None:
                out["options"] = options
        json.dump(out, sys.stdout)
    except RecursionError:
        json.dump({"error": "it is nested too deep"}, sys.stdout)


main()
