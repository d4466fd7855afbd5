"""Tasks and flows pickle as module and qualified name: the decorator hides the function,
so that pickle cannot find it itself."""

import importlib
import os
import sys

by_value = False  # while a payload is pickled by cloudpickle



def reduce_spec(spec):
    module, name = spec.__module__, spec.__qualname__
    if module == "__main__" and by_value:
        return blank, (type(spec),), dict(spec.__dict__)
    file = getattr(sys.modules.get(module), "__file__", None)
    return load, (module, name, os.path.abspath(file) if file else "", getattr(spec, "_options", {}) or {})


def blank(cls):
    return object.__new__(cls)


def load(module, name, file, options):
    """Finds the task again, in this process."""
    found = _find(_module(module, file), name)
    if found is None and module == "__main__" and file:
        found = _find(_from_file(file), name)
    if found is None:
        raise AttributeError("task %s is not at the top level of module %s (%s) in this worker; "
                             "move it to a module that the workers can import" % (name, module, file or "no file"))
    return found.with_options(**options) if options else found


def _module(module, file):
    if module == "__main__":
        return sys.modules["__main__"]
    try:
        return importlib.import_module(module)
    except ImportError:
        if file and os.path.exists(file):
            return _from_file(file)
        raise


def _find(module, name):
    for part in name.split("."):
        if module is None or part == "<locals>":
            return None
        module = getattr(module, part, None)
    return module


def _from_file(file):
    """The script's file as a module, without running what is under its main guard."""
    import importlib.util

    name = "refline_script_" + "".join([c if c.isalnum() else "_" for c in file])
    if name not in sys.modules:
        if not os.path.exists(file):
            return None
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        folder = os.path.dirname(file)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def payload(spec, executor):
    """What is sent for a task: the task itself, which pickles by name, or its bytes by
    value if it is in the main script and the workers may be on other computers."""
    if spec.__module__ != "__main__" or type(executor).__module__.startswith("concurrent.futures"):
        return spec
    try:
        import cloudpickle
    except ImportError:
        return spec
    global by_value
    found = spec.__dict__.get("_bytes")
    if found is None:
        by_value = True
        try:
            found = cloudpickle.dumps(spec)
        finally:
            by_value = False
        spec.__dict__["_bytes"] = found
    return found


def unpack(payload):
    if isinstance(payload, bytes):
        import pickle

        found = _unpacked.get(payload)
        if found is None:
            if len(_unpacked) > 1000:
                _unpacked.clear()
            found = _unpacked[payload] = pickle.loads(payload)
        return found
    return payload


_unpacked = {}
