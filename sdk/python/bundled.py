# The program puts this before the package's own __init__.py, in the copy that it hands
# to jobs: PYTHONPATH comes before site-packages, and an installed version must win.


def _installed():
    """The package of a later entry of sys.path, None without one."""
    import os
    import sys

    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = [os.path.abspath(p) for p in sys.path]
    if here in places:
        places = places[places.index(here) + 1 :]
    for place in places:
        init = os.path.join(place, "refline", "__init__.py")
        if place != here and os.path.isfile(init) and os.path.isfile(os.path.join(place, "refline", "_version.py")):
            return os.path.dirname(init)
    return None


def _version_in(folder):
    import os

    values = {}
    with open(os.path.join(folder, "_version.py"), encoding="utf-8") as f:
        exec(compile(f.read(), f.name, "exec"), values)
    return values.get("__version__")


_folder = _installed()
if _folder is not None:
    import os as _os
    import sys as _sys

    _own, _other = _version_in(_os.path.dirname(_os.path.abspath(__file__))), _version_in(_folder)
    if _own != _other and not _os.environ.get("REFLINE_SKEW_NOTED"):
        _os.environ["REFLINE_SKEW_NOTED"] = "1"  # once, not by each worker
        _sys.stderr.write("refline: version %s of the Python package is installed and is used; the program brings %s\n" % (_other, _own))
    __path__[:] = [_folder]  # noqa: F821
