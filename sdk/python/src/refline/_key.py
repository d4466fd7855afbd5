"""Keys of results: SHA-256 of a task's name, code and arguments, the same in every
process, whatever its hash seed. What has no stable form has no key."""

import marshal

try:
    from _sha2 import sha256  # 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256

_ATOMS = {int, float, str, bytes, bool, type(None), complex}
_CONTAINERS = {list, tuple, dict}


def key_of(spec, args, kwargs, path=""):
    """The key, or None if there is none."""
    try:
        code = code_of(spec.fn)
        body = stable_bytes((args, sorted(kwargs.items())))
    except Exception:  # cyclic, or it does not pickle
        return None
    h = sha256()
    for part in ("%s:%s" % (spec.__module__, spec.__qualname__), path):
        h.update(part.encode("utf-8", "surrogatepass") + b"\0")
    h.update(code)
    h.update(body)
    return h.digest()


def stable_bytes(value):
    if _is_plain(value, 20):
        return b"m" + marshal.dumps(value, 2)  # version 2 does not depend on identity
    return b"p" + _dumps(value)


def _is_plain(value, depth):
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind not in _CONTAINERS or not depth:
        return False
    if kind is dict:
        return _is_plain(list(value), depth - 1) and _is_plain(list(value.values()), depth - 1)
    kinds = set(map(type, value))
    if kinds <= _ATOMS:
        return True
    return all(_is_plain(v, depth - 1) for v in value if type(v) not in _ATOMS)


def _dumps(value):
    import io

    out = io.BytesIO()
    _stable_pickler()(out).dump(value)
    return out.getvalue()


_pickler = None


def _stable_pickler():
    global _pickler
    if _pickler is None:
        import pickle
        import types

        from ._call import Spec

        class Stable(pickle._Pickler):
            def __init__(self, out):
                super().__init__(out, 4)
                self.fast = True  # no memo: equal values have equal bytes

            def reducer_override(self, value):
                if isinstance(value, Spec):
                    return str, ("%s:%s" % (value.__module__, value.__qualname__),)
                if isinstance(value, types.FunctionType):
                    return bytes, (code_of(value),)
                return NotImplemented

            dispatch = dict(pickle._Pickler.dispatch)

            def save_set(self, value):
                self.save((type(value).__name__, sorted(_dumps(v) for v in value)))

            dispatch[set] = dispatch[frozenset] = save_set
            dispatch.pop(types.FunctionType, None)

        _pickler = Stable
    return _pickler


_codes = {}  # code object → digest, of functions without defaults and closure


def code_of(fn):
    """A digest of what a function does: its code, defaults and closure."""
    while hasattr(fn, "func") and not hasattr(fn, "__code__"):
        return stable_bytes((code_of(fn.func), fn.args, sorted(fn.keywords.items())))
    code = getattr(fn, "__code__", None)
    if code is None:
        return ("%s.%s" % (getattr(fn, "__module__", ""), getattr(fn, "__qualname__", repr(type(fn))))).encode()
    digest = _codes.get(code)
    if digest is None:
        h = sha256()
        _add_code(h, code)
        digest = _codes[code] = h.digest()
    around = [fn.__defaults__, fn.__kwdefaults__]
    for cell in fn.__closure__ or ():
        if cell.cell_contents is not fn:
            around.append(cell.cell_contents)
    if around == [None, None]:
        return digest
    h = sha256(digest)
    h.update(stable_bytes(around))
    return h.digest()


def _add_code(h, code):
    h.update(b"%d %d %d\0" % (code.co_argcount, code.co_kwonlyargcount, code.co_flags))
    h.update(code.co_code)
    h.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode("utf-8", "backslashreplace"))
    for const in code.co_consts:
        _add_const(h, const)


def _add_const(h, const):
    if hasattr(const, "co_code"):
        _add_code(h, const)
    elif isinstance(const, frozenset):
        h.update(repr(sorted(map(repr, const))).encode("utf-8", "backslashreplace"))
    elif isinstance(const, tuple):
        for c in const:
            _add_const(h, c)
    else:
        h.update(("%s %r;" % (type(const).__name__, const)).encode("utf-8", "backslashreplace"))


