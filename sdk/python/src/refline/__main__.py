"""python3 -m refline FILE[:FLOW] [--NAME=VALUE ...]
python3 -m refline --script FILE [ARGUMENT ...]

Calls a flow of a file with inputs. Refline starts flows so: values are turned into what
the annotations say, and a block under `if __name__ == "__main__":` does not run. With
--script the file runs as it is, and flows of Prefect that it calls are seen.
"""

import os
import sys


def main(argv):
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if argv else 2
    if argv[0] == "--script" and len(argv) > 1:
        return script(argv[1], argv[1:])
    path, _, name = argv[0], "", ""
    if not os.path.isfile(path) and ":" in path:
        path, _, name = path.rpartition(":")
    inputs = {}
    for word in argv[1:]:
        key, equals, value = word[2:].partition("=")
        if not word.startswith("--") or not equals or not key:
            return fail("%r is not an input; write --NAME=VALUE" % word)
        inputs[key.replace("-", "_")] = value
    if not os.path.isfile(path):
        return fail("there is no file %s" % path)
    sys.argv = [path]
    from . import _prefect, _prefect1

    _prefect.install()
    try:
        if _prefect1.wanted(path):
            return 0 if _prefect1.run(path, name, inputs, load, NoFlow) else 1
        flow = find(load(path), path, name)
        result = flow(**convert(flow, inputs))
        if hasattr(result, "__await__"):
            import asyncio

            asyncio.run(wait(result))
    except NoFlow as e:
        return fail(str(e))
    except Exception:
        report()
        return 1
    return 0


def script(path, argv):
    """Runs a file as `python3 FILE` does."""
    import types

    from . import _prefect

    if not os.path.isfile(path):
        return fail("there is no file %s" % path)
    _prefect.install()
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    module = types.ModuleType("__main__")  # as what worker processes import it, too
    module.__file__ = os.path.abspath(path)
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    try:
        with open(path, "rb") as f:
            code = compile(f.read(), path, "exec")
        exec(code, vars(module))
    except Exception:
        report()
        return 1
    return 0


class NoFlow(Exception):
    pass


def fail(text):
    print("refline: " + text, file=sys.stderr)
    return 2


async def wait(result):
    return await result


def load(path):
    """The module of a file, under the name by which workers can import it too."""
    import importlib.util

    folder, file = os.path.split(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = os.path.splitext(file)[0]
    spec = importlib.util.spec_from_file_location(name, os.path.join(folder, file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def find(module, path, name):
    def is_flow(x):
        return callable(x) and hasattr(x, "name") and hasattr(x, "fn") and type(x).__name__ == "Flow"

    flows = {k: v for k, v in vars(module).items() if is_flow(v)}
    if name:
        for key, flow in flows.items():
            if name in (key, flow.name):
                return flow
        raise NoFlow("%s has no flow %r; it has: %s" % (path, name, ", ".join(sorted(flows)) or "none"))
    for flow in flows.values():
        if getattr(flow.fn, "__module__", "") == module.__name__:
            return flow
    raise NoFlow("%s has no function with @flow" % path)


def convert(flow, inputs):
    """Values of the types that the flow's annotations name; as text where they do not."""
    if not inputs:
        return {}
    import typing

    try:
        hints = typing.get_type_hints(flow.fn)
    except Exception:
        hints = {}
    return {k: value(v, hints.get(k), k) for k, v in inputs.items()}


def value(text, hint, name):
    import typing

    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is not None and type(None) in args:  # Optional, X | None
        if text in ("", "null"):
            return None
        rest = [a for a in args if a is not type(None)]
        return value(text, rest[0], name) if len(rest) == 1 else text
    if hint is None or hint is str:
        return text
    if origin is typing.Literal:
        return next((a for a in args if str(a) == text), text)
    import datetime
    import enum
    import json

    if hint is bool:
        return text == "true"
    if hint in (int, float):
        return hint(text)
    if hint is datetime.datetime:
        return hint.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    if hint is datetime.date:
        return hint.fromisoformat(text)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return next((m for m in hint if str(m.value) == text), text)
    if (origin or hint) in (list, dict, tuple, set):
        return (origin or hint)(json.loads(text))
    return text


def report():
    """The traceback without our own frames and those of Prefect."""
    import traceback

    from . import _prefect

    kind, error, _ = sys.exc_info()
    _prefect.drop_frames(error)
    tb = error.__traceback__
    own = os.path.dirname(os.path.abspath(__file__)) + os.sep
    while tb is not None and (tb.tb_frame.f_code.co_filename.startswith((own, "<frozen"))):
        tb = tb.tb_next
    traceback.print_exception(kind, error, tb)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
