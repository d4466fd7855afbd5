"""Cached results, in $REFLINE_TASK_CACHE or the user's cache folder, one file a key. Only
files that this user owns in a folder that no other may write are unpickled."""

import os
import sys
import time

try:
    from _pickle import dumps, loads
except ImportError:
    from pickle import dumps, loads

UNUSED_AFTER = 90 * 24 * 3600  # seconds after which files are removed

_folder = None
_warned = False


def folder():
    global _folder
    if _folder is None:
        _folder = os.environ.get("REFLINE_TASK_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "refline", "tasks")
    return _folder


def get(key, age):
    """(True, value) if there is a result that is not older than age allows."""
    path = _path(key)
    try:
        with open(path, "rb") as f:
            info = os.fstat(f.fileno())
            if hasattr(os, "getuid") and info.st_uid != os.getuid():
                return False, None
            if age is not True and time.time() - info.st_mtime > age.total_seconds():
                return False, None
            if not _safe(os.path.dirname(path)):
                return False, None
            return True, loads(f.read())
    except Exception:  # missing, of another version of a class, half readable: run the task
        return False, None


def put(key, value):
    global _warned
    path = _path(key)
    part = "%s.%d" % (path, os.getpid())
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        data = dumps(value, 5)
        with open(part, "wb") as f:
            f.write(data)
        os.replace(part, path)
        _remove_old(os.path.dirname(path))
    except Exception as e:
        if not _warned:
            _warned = True
            sys.stderr.write("refline: a result could not be cached in %s: %s\n" % (folder(), e))


def _path(key):
    name = key.hex()
    return os.path.join(folder(), name[:2], name)


def _safe(folder):
    if not hasattr(os, "getuid"):
        return True
    info = os.stat(folder)
    return info.st_uid == os.getuid() and not info.st_mode & 0o022


def _remove_old(folder):
    limit = time.time() - UNUSED_AFTER
    for entry in os.scandir(folder):
        if entry.stat().st_mtime < limit:
            os.remove(entry.path)
