"""Flows of Prefect 2 and 3 run unchanged: before a file imports Prefect, an HTTP API in
this process takes the place of Prefect's server, and the runs that are reported to it
become events of the job. Nothing of Prefect is patched. Prefect 1 needs no server: see
_prefect1."""

import os
import sys

# Left as they are if the job sets them.
SETTINGS = {
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_UI_URL": "",  # its links would lead nowhere
    "DO_NOT_TRACK": "1",
}


class Finder:
    """Sees the first import of Prefect, which reads its settings then."""

    def find_spec(self, name, path=None, target=None):
        if name == "prefect":
            remove()
            start()
        return None


_finder = Finder()


def install():
    """Does its work in jobs only, and only if Prefect is imported."""
    if os.environ.get("REFLINE_EVENTS") and "prefect" not in sys.modules and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def remove():
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def version():
    """The version that is installed as numbers, () without one."""
    from importlib import metadata

    for name in ("prefect", "prefect-client"):
        try:
            text = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        numbers = []
        for part in text.split(".")[:3]:
            digits = ""
            for c in part:
                if not c.isdigit():
                    break
                digits += c
            numbers.append(int(digits or 0))
        return tuple(numbers)
    return ()


def start():
    """Starts the API and sets Prefect's settings, for worker processes too."""
    if os.environ.get("PREFECT_API_URL"):
        note("PREFECT_API_URL is set: the tasks of this flow are reported there, not here")
        return
    if not version() or version() < (2,):
        return
    import atexit
    import shutil
    import tempfile

    from ._prefect_api import API
    from ._prefect_http import Server

    home = None
    if not os.environ.get("PREFECT_HOME"):
        # Not the user's: its profiles and results are not of this job.
        home = tempfile.mkdtemp(prefix="refline-prefect-")
        os.environ["PREFECT_HOME"] = home
    api = API(note)
    server = Server(api)
    os.environ["PREFECT_API_URL"] = server.url
    for key, value in SETTINGS.items():
        os.environ.setdefault(key, value)
    for key in ("NO_PROXY", "no_proxy"):
        hosts = [h for h in os.environ.get(key, "").split(",") if h.strip()]
        os.environ[key] = ",".join(hosts + ["127.0.0.1"])
    pid = os.getpid()

    def end():
        # Registered before Prefect is imported: it runs when Prefect has sent the rest.
        if os.getpid() != pid:
            return
        server.close()
        api.close()
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)

    atexit.register(end)


def drop_frames(error):
    """Leaves the frames of Prefect out of a traceback, and of what caused it."""
    module = sys.modules.get("prefect")
    if module is None or not getattr(module, "__file__", None):
        return
    from . import _error

    folder = os.path.dirname(os.path.abspath(module.__file__)) + os.sep
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        _error.drop_frames(error, folder)
        error = error.__cause__ or error.__context__


def note(text):
    print("refline: " + text, file=sys.stderr, flush=True)
