# What the command line of a script takes: argparse, click and typer. Part of read.py.

class Unread(Exception):
    """The options are not certain; the text is why."""


def constants(tree):
    """Literals that the module assigns once, by name."""
    found, twice = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if node.id in found:
                twice.add(node.id)
            found.setdefault(node.id, None)
    values = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            ok, v = literal(node.value)
            if ok and node.targets[0].id not in twice:
                values[node.targets[0].id] = v
    return values


def command(tree, names):
    """The options of the one command line of a file, or None if it has none: a list,
    and whether it may take others too. Raises Unread."""
    consts = constants(tree)
    for read in (argparse_options, click_options, typer_options):
        found = read(tree, names, consts)
        if found is not None:
            return found
    return None


class Reader:
    """What the three have in common: values of keywords, types and choices."""

    def __init__(self, tree, names, consts):
        self.names, self.consts, self.enums = names, consts, enums(tree, names)

    def value(self, node):
        if isinstance(node, ast.Name) and node.id in self.consts:
            return True, self.consts[node.id]
        return literal(node)

    def name(self, node):
        return resolve(node, self.names)

    def keywords(self, call):
        if any(k.arg is None for k in call.keywords) or any(isinstance(a, ast.Starred) for a in call.args):
            raise Unread("line %d gives it arguments by * or **" % call.lineno)
        return {k.arg: k.value for k in call.keywords}

    def true(self, node, unknown=False):
        if node is None:
            return False
        ok, v = self.value(node)
        return bool(v) if ok else unknown

    def default(self, node, p):
        ok, v = self.value(node)
        of = self.enums.get(self.name(node).rpartition(".")[0])
        if of is not None and isinstance(node, ast.Attribute) and node.attr in of:
            ok, v = True, of[node.attr]  # a member of an enum of the file
        if ok:
            p["has_default"], p["default"] = True, v
        elif self.name(node).endswith("SUPPRESS"):
            p["has_default"] = True
        else:
            default(node, p)

    def help(self, node, p):
        ok, v = self.value(node) if node is not None else (False, None)
        if ok and isinstance(v, str):
            p["help"] = v[:500]

    def count(self, node):
        """How many words nargs means: None is one, -1 any number."""
        if node is None:
            return None
        ok, v = self.value(node)
        if ok and v in ("+", "*", -1):
            return -1
        if ok and v in ("?", None):
            return None
        if ok and isinstance(v, int) and not isinstance(v, bool) and 0 < v <= 100:
            return None if v == 1 else v
        raise Unread("nargs in line %d is not +, *, ? or a number" % node.lineno)

    def choices(self, node, p):
        ok, v = self.value(node)
        if ok and isinstance(v, (list, tuple)) and v and all(isinstance(x, (str, int, float)) for x in v):
            p["options"] = [str(x) for x in v]
        elif isinstance(node, ast.Call) and self.name(node.func) == "range" and not node.keywords:
            ends = [literal(a) for a in node.args]
            if all(ok and isinstance(x, int) for ok, x in ends) and 1 <= len(ends) <= 2:
                low, high = (0, ends[0][1]) if len(ends) == 1 else (ends[0][1], ends[1][1])
                p["min"], p["max"] = low, high - 1
        elif isinstance(node, ast.Call) and self.name(node.func) in ("list", "tuple") and len(node.args) == 1:
            if p["type"] == "any" and self.name(node.args[0]) in self.enums:  # type= makes a member of a value
                p["options"] = list(self.enums[self.name(node.args[0])].values())
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)) and len(node.generators) == 1 and not node.generators[0].ifs:
            members = self.enums.get(self.name(node.generators[0].iter))
            if members and isinstance(node.elt, ast.Attribute) and node.elt.attr in ("value", "name"):
                p["options"] = list(members.values() if node.elt.attr == "value" else members)


def flag_names(flags, slash=True):
    """The name of an option, its flag, and the flag that switches it off."""
    off = ""
    on = []
    for f in flags:
        if slash and "/" in f:
            f, _, other = f.partition("/")
            off = other.strip()
            f = f.rstrip()
        on.append(f)
    long = [f for f in on if f.startswith("--") and len(f) > 2]
    short = [f for f in on if f.startswith("-") and not f.startswith("--") and len(f) > 1]
    if not long and not short:
        return None, None, off
    best = (long or short)[0]
    return best.lstrip("-"), best, off


def uncertain(tree):
    """The nodes that run any number of times, or perhaps not: in loops and branches."""
    inside = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.If) and is_main(n.test):
            continue
        if isinstance(n, (ast.For, ast.AsyncFor, ast.While, ast.If, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.IfExp)):
            inside.update(id(c) for c in ast.walk(n))
    return inside


def is_main(test):
    return (isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"
            and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq))


# --- argparse

ARG_TYPES = {"int": "integer", "float": "number", "str": "text", "pathlib.Path": "text", "pathlib.PurePath": "text", "os.path.abspath": "text",
             "datetime.date.fromisoformat": "date", "datetime.datetime.fromisoformat": "datetime", "json.loads": "json"}
PARSER_CALLS = ("add_argument", "parse_args", "print_help", "print_usage", "format_help", "error", "exit", "set_defaults", "get_default", "parse_known_args")


def argparse_options(tree, names, consts):
    def makes(node, what):
        return isinstance(node, ast.Call) and names_last(resolve(node.func, names)) == what

    makers = [n for n in ast.walk(tree) if makes(n, "ArgumentParser")]
    if not makers:
        return None
    if len(makers) > 1:
        raise Unread("it has several argument parsers")
    r = Reader(tree, names, consts)
    for odd in ("parents", "prefix_chars"):
        if odd in r.keywords(makers[0]):
            raise Unread("its argument parser has %s" % odd)
    own = set()
    for node in ast.walk(tree):
        value = getattr(node, "value", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and value is makers[0]:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own.update(t.id for t in targets if isinstance(t, ast.Name))
    if not own:
        raise Unread("its argument parser has no name")
    for node in ast.walk(tree):  # groups are the parser by another name
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            f = node.value.func
            if f.attr in ("add_argument_group", "add_mutually_exclusive_group") and isinstance(f.value, ast.Name) and f.value.id in own:
                own.update(t.id for t in node.targets if isinstance(t, ast.Name))
    groups = ("add_argument_group", "add_mutually_exclusive_group")
    known, more, calls = set(), False, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in own:
            known.add(id(node.value))
            if node.attr == "add_subparsers":
                raise Unread("it has sub-commands")
            if node.attr not in PARSER_CALLS + groups and isinstance(node.ctx, ast.Load):
                raise Unread("line %d uses .%s of its argument parser" % (node.lineno, node.attr))
            more = more or node.attr == "parse_known_args"
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
            known.add(id(node.value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            if not isinstance(node.func.value, ast.Name) or node.func.value.id not in own:
                raise Unread("line %d adds an argument to what is not certain" % node.lineno)
            calls.append(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in own and isinstance(node.ctx, ast.Load) and id(node) not in known:
            raise Unread("line %d hands its argument parser on" % node.lineno)
    perhaps = uncertain(tree)
    options = []
    for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset)):
        if id(call) in perhaps:
            raise Unread("line %d adds an argument in a loop or a branch" % call.lineno)
        p = argument(call, r)
        if p:
            options.append(p)
    return options, more


def argument(call, r):
    given = r.keywords(call)
    flags = [r.value(a) for a in call.args]
    if not flags or not all(ok and isinstance(f, str) and f for ok, f in flags):
        raise Unread("the name of the argument in line %d is not a text" % call.lineno)
    flags = [f for _, f in flags]
    name, flag, _ = flag_names(flags, slash=False)
    p = {"name": name or flags[0], "line": call.lineno, "type": "text"}
    if flag:
        p["flag"] = flag
    else:
        p["positional"] = True
    if "type" in given:
        p["type"] = ARG_TYPES.get(r.name(given["type"]), "any")
    ok, action = r.value(given["action"]) if "action" in given else (True, "store")
    if "action" in given and not ok:
        action = names_last(r.name(given["action"]))
    if action in ("help", "version"):
        return None
    if action in ("store_true", "store_false", "store_const", "append_const"):
        p["type"], p["switch"] = "boolean", True
    elif action == "BooleanOptionalAction":
        p["type"], p["switch"], p["off"] = "boolean", True, "--no-" + flag[2:]
    elif action == "count":
        p["type"], p["repeat"] = "integer", True
    elif action in ("append", "extend"):
        p["repeat"] = True
        if action == "append" and r.count(given.get("nargs")) is not None:
            raise Unread("line %d repeats an option of several values" % call.lineno)
        p["type"] = "list"
    elif action != "store":
        p["type"] = "any"
    many = r.count(given.get("nargs")) if not p.get("repeat") and not p.get("switch") else None
    if many is not None:
        p["type"], p["words"] = "list", many
    if "choices" in given:
        r.choices(given["choices"], p)
        if p["type"] == "list":
            p.pop("options", None)
    if "default" in given:
        r.default(given["default"], p)
    r.help(given.get("help"), p)
    optional = flag and not r.true(given.get("required"))
    if not flag and "nargs" in given:
        ok, n = r.value(given["nargs"])
        optional = n in ("?", "*")
    if optional:
        p["has_default"] = True
    elif flag:
        p.pop("has_default", None)
        p.pop("default", None)
        p.pop("default_code", None)
    return p


# --- click

CLICK_TYPES = {"int": "integer", "INT": "integer", "float": "number", "FLOAT": "number", "str": "text", "STRING": "text", "bool": "boolean", "BOOL": "boolean",
               "Path": "text", "File": "text", "UUID": "text", "DateTime": "datetime", "Choice": "text", "IntRange": "integer", "FloatRange": "number"}
PLAIN = ("version_option", "help_option", "pass_context", "pass_obj", "command")


def click_name(decorator, names):
    """command of @click.command(...); "" of another decorator."""
    full = resolve(decorator.func if isinstance(decorator, ast.Call) else decorator, names)
    module, _, what = full.rpartition(".")
    return what if module in ("click", "rich_click") else ""


def click_options(tree, names, consts):
    commands, groups = [], False
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for d in node.decorator_list:
            full = click_name(d, names)
            groups = groups or full == "group"
            if full == "command":
                commands.append((node, d))
    if groups:
        raise Unread("it has sub-commands")
    if not commands:
        return None
    if len(commands) > 1:
        raise Unread("it has several commands")
    fn, made = commands[0]
    r = Reader(tree, names, consts)
    more = by_environment = False
    if isinstance(made, ast.Call):
        given = r.keywords(made)
        settings = given.get("context_settings")
        ok, v = r.value(settings) if settings is not None else (True, {})
        more = not ok or bool(isinstance(v, dict) and (v.get("ignore_unknown_options") or v.get("allow_extra_args")))
        more = more or "cls" in given
        by_environment = not ok or "auto_envvar_prefix" in (v or {})
    options = []
    for d in fn.decorator_list:
        call, what = d if isinstance(d, ast.Call) else None, click_name(d, names)
        if what in ("option", "password_option", "confirmation_option") and call:
            options.append(click_parameter(call, r, what))
        elif what == "argument" and call:
            options.append(click_parameter(call, r, what))
        elif what not in PLAIN:
            more = True  # a decorator of the file's own may add options
    for p in options:
        if by_environment and not p.get("positional"):
            p["has_default"] = True
    return options, more


def click_parameter(call, r, what):
    given = r.keywords(call)
    flags = [r.value(a) for a in call.args]
    if not all(ok and isinstance(f, str) and f for ok, f in flags):
        raise Unread("the name of the option in line %d is not a text" % call.lineno)
    flags = [f for _, f in flags] or {"password_option": ["--password"], "confirmation_option": ["--yes"]}.get(what, [])
    name, flag, off = flag_names(flags)
    if what == "argument":
        if len(flags) != 1:
            raise Unread("the argument in line %d has no name" % call.lineno)
        name, flag = flags[0], None
    elif not flag:
        raise Unread("the option in line %d has no flag" % call.lineno)
    p = {"name": name, "line": call.lineno, "type": "text"}
    if flag:
        p["flag"] = flag
    else:
        p["positional"] = True
    if "type" in given:
        click_type(given["type"], r, p)
    if "default" in given:
        r.default(given["default"], p)
        v = p.get("default")
        if "type" not in given and "default" in p:
            p["type"] = {bool: "boolean", int: "integer", float: "number", str: "text"}.get(type(v), "any" if v is not None else "text")
            if isinstance(v, bool) and "is_flag" not in given:
                given["is_flag"] = ast.Constant(value=True)
    if what == "confirmation_option" or off or r.true(given.get("is_flag")) or "flag_value" in given:
        p["type"], p["switch"] = "boolean", True
        p.pop("options", None)
        if off:
            p["off"] = off
    elif r.true(given.get("count")):
        p["type"], p["repeat"] = "integer", True
    elif r.true(given.get("multiple")):
        if r.count(given.get("nargs")) not in (None, 1):
            raise Unread("line %d repeats an option of several values" % call.lineno)
        p["type"], p["repeat"] = "list", True
        p.pop("options", None)
    else:
        many = r.count(given.get("nargs"))
        if many not in (None, 1):
            p["type"], p["words"] = "list", many
            p.pop("options", None)
    r.help(given.get("help"), p)
    required = r.true(given.get("required")) or r.true(given.get("prompt")) or what == "password_option"
    if what == "argument":
        # Needed unless something says that it is not, as in click.
        required = p.get("words") != -1 if "required" not in given else r.true(given["required"])
    if "envvar" in given:
        required = False
    if not required:
        p["has_default"] = True
    return p


def click_type(node, r, p):
    call = node if isinstance(node, ast.Call) else None
    kind = names_last(r.name(call.func if call else node))
    p["type"] = CLICK_TYPES.get(kind, "any")
    if not call:
        return
    given = r.keywords(call)
    args = list(call.args)
    if kind == "Choice":
        of = args[0] if args else given.get("choices")
        if of is not None and not ("case_sensitive" in given and not r.true(given["case_sensitive"])):
            r.choices(of, p)
    elif kind == "DateTime":
        ok, formats = r.value(args[0] if args else given.get("formats")) if args or "formats" in given else (True, None)
        if formats or not ok:
            p["type"] = "date" if formats == ["%Y-%m-%d"] else "text"
    elif kind in ("IntRange", "FloatRange"):
        if r.true(given.get("clamp"), True):
            return
        for key, at in (("min", 0), ("max", 1)):
            of = args[at] if len(args) > at else given.get(key)
            ok, v = r.value(of) if of is not None else (False, None)
            if ok and isinstance(v, (int, float)) and not isinstance(v, bool):
                p[key] = v
                if r.true(given.get(key + "_open"), True):
                    p[key + "_open"] = True


# --- typer


def typer_options(tree, names, consts):
    apps, commands, more = set(), [], False
    functions = {n.name: n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call) and resolve(node.value.func, names) == "typer.Typer":
            apps.update(t.id for t in (node.targets if isinstance(node, ast.Assign) else [node.target]) if isinstance(t, ast.Name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            f = node.func
            if resolve(f, names) == "typer.run" and len(node.args) == 1:
                if not isinstance(node.args[0], ast.Name) or node.args[0].id not in functions:
                    raise Unread("line %d runs what is not a function of the file" % node.lineno)
                commands.append(functions[node.args[0].id])
            elif isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id in apps and f.attr in ("callback", "add_typer"):
                raise Unread("it has sub-commands")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for d in node.decorator_list:
                f = d.func if isinstance(d, ast.Call) else d
                if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id in apps and f.attr == "command":
                    commands.append(node)
                    more = more or isinstance(d, ast.Call) and any(k.arg in (None, "context_settings", "cls") for k in d.keywords)
    if not commands:
        if apps:
            raise Unread("it has no command that can be seen")
        return None
    if len(commands) > 1:
        raise Unread("it has several commands")
    fn = commands[0]
    r = Reader(tree, names, consts)
    if fn.args.vararg or fn.args.kwarg:
        raise Unread("%s takes arguments by * or **" % fn.name)
    args = fn.args.posonlyargs + fn.args.args
    pairs = list(zip(args, [None] * (len(args) - len(fn.args.defaults)) + fn.args.defaults)) + list(zip(fn.args.kwonlyargs, fn.args.kw_defaults))
    return [p for p in (typer_parameter(a, d, r) for a, d in pairs) if p], more


def typer_parameter(arg, d, r):
    p = {"name": arg.arg, "line": arg.lineno, "type": "text", "enums": r.enums}
    hint, made = unquoted(arg.annotation), None
    if isinstance(hint, ast.Subscript) and names_last(r.name(hint.value)) == "Annotated":
        parts = slice_of(hint)
        parts = parts.elts if isinstance(parts, ast.Tuple) else [parts]
        hint = parts[0]
        for extra in parts[1:]:
            if isinstance(extra, ast.Call) and r.name(extra.func) in ("typer.Option", "typer.Argument"):
                made = extra
    elif isinstance(d, ast.Call) and r.name(d.func) in ("typer.Option", "typer.Argument"):
        made = d
        d = d.args[0] if d.args else next((k.value for k in d.keywords if k.arg == "default"), None)
        made = ast.copy_location(ast.Call(func=made.func, args=made.args[1:], keywords=[k for k in made.keywords if k.arg != "default"]), made)
    if hint is not None:
        if names_last(r.name(hint)) == "Context":
            return None
        p["type"] = "any"
        typed(hint, r.names, p)
        if names_last(r.name(hint)) in ("Path", "UUID"):
            p["type"] = "text"
    del p["enums"]
    given = r.keywords(made) if made is not None else {}
    if d is not None and not (isinstance(d, ast.Constant) and d.value is Ellipsis):
        r.default(d, p)
    elif "default_factory" in given or "envvar" in given:
        p["has_default"] = True
    option = made is not None and r.name(made.func) == "typer.Option" or made is None and p.get("has_default", False)
    p.pop("optional", None)
    flags = [f for ok, f in (r.value(a) for a in (made.args if made is not None else [])) if ok and isinstance(f, str)]
    if made is not None and len(flags) != len(made.args):
        raise Unread("the option in line %d has a name that is not a text" % arg.lineno)
    switch = option and p["type"] == "boolean"
    if option:
        name, flag, off = flag_names(flags) if flags else (None, None, "")
        if not flag:
            flag = "--" + arg.arg.replace("_", "-")
            off = "--no-" + flag[2:] if switch else ""
        p["name"], p["flag"] = flag.lstrip("-"), flag
        if off:
            p["off"] = off
    else:
        p["positional"] = True
    if switch:
        p["switch"] = True
    elif r.true(given.get("count")):
        p["repeat"] = True
    elif p["type"] == "list":
        p.pop("options", None)
        if names_last(r.name(hint.value) if isinstance(hint, ast.Subscript) else "") in ("tuple", "Tuple"):
            inner = slice_of(hint)
            p["words"] = len(inner.elts) if isinstance(inner, ast.Tuple) else 1
        elif option:
            p["repeat"] = True
        else:
            p["words"] = -1
    for key in ("min", "max"):
        ok, v = r.value(given[key]) if key in given else (False, None)
        if ok and isinstance(v, (int, float)) and not isinstance(v, bool) and not r.true(given.get("clamp"), True):
            p[key] = v
    if "case_sensitive" in given and not r.true(given["case_sensitive"]):
        p.pop("options", None)
    if "parser" in given or "click_type" in given:
        p["type"] = "any"
        p.pop("options", None)
    if r.true(given.get("prompt")) and "default" not in p:
        p.pop("has_default", None)
    r.help(given.get("help"), p)
    return p
