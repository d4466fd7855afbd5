"""Results that outlive their task: kept for a retry of the run from where it failed, and
cached by inputs.

Kept results are in the folder $REFLINE_RESULTS: small ones in one file that is appended
to, larger ones as files by the hash of their content. Those of the attempt before are in
its folder "earlier". A record is magic, key, kind, length, CRC-32, payload.
"""

import os
from binascii import crc32

from . import _call
from ._key import key_of, sha256

try:
    from _pickle import Pickler, dumps, loads
except ImportError:
    from pickle import Pickler, dumps, loads

MOST_INLINE = 64 << 10
MAGIC = b"RLR1"
HEADER = 4 + 32 + 1 + 4 + 4
INLINE, OBJECT = 0, 1
FILE = "results"


class Keys:
    """The keys of one task with its arguments."""

    def __init__(self, spec, node, args, kwargs):
        self.spec = spec
        self.results = node.run.results
        self.kept = self.cached = None
        self.wanted = spec.keep if spec.keep is not None else node.keep
        if self.results is not None and self.wanted is not False:
            self.kept = key_of(spec, args, kwargs, node.id)
        if spec.cache is not None:
            self.cached = _cache_key(spec, args, kwargs)

    def find(self):
        """("kept" or "cached", the value), ("", None) without one."""
        if self.kept is not None:
            found, value = self.results.get(self.kept)
            if found:
                return "kept", value
        if self.cached is not None:
            from . import _cache

            found, value = _cache.get(self.cached, self.spec.cache)
            if found:
                if self.kept is not None:
                    self.results.put(self.kept, value, self.wanted is True)
                return "cached", value
        return "", None

    def keep(self, value):
        if self.kept is not None:
            self.results.put(self.kept, value, self.wanted is True)
        if self.cached is not None:
            from . import _cache

            _cache.put(self.cached, value)


def _cache_key(spec, args, kwargs):
    if spec.cache_key is None:
        return key_of(spec, args, kwargs)
    text = spec.cache_key(*args, **kwargs) if callable(spec.cache_key) else spec.cache_key
    if text is None:
        return None
    return sha256(("%s:%s\0%s" % (spec.__module__, spec.__qualname__, text)).encode("utf-8", "surrogatepass")).digest()


def call_kept(spec, node, args, kwargs):
    """Calls a task here unless its result is known."""
    keys = Keys(spec, node, args, kwargs)
    state, value = keys.find()
    if state:
        node.run.state(node, state)
        return value

    def body(spec, args, kwargs):
        value = _call.invoke(spec, args, kwargs)
        if node.children is not None:
            node.children.finish()
        keys.keep(value)
        return value

    return _call.attempts(spec, node, args, kwargs, body)


class Results:
    """The kept results of a job: written by this attempt, read from the one before."""

    def __init__(self, folder):
        self.folder = folder
        self.fd = -1
        self.pid = os.getpid()
        self.broken = False
        self.earlier = os.path.join(folder, "earlier")
        self.index = self._read_index()

    def _read_index(self):
        index = {}
        try:
            f = open(os.path.join(self.earlier, FILE), "rb")
        except OSError:
            return index
        with f:
            size = os.fstat(f.fileno()).st_size
            at = 0
            while at + HEADER <= size:
                f.seek(at)
                head = f.read(HEADER)
                length = int.from_bytes(head[37:41], "big")
                if head[:4] != MAGIC or length > MOST_INLINE or at + HEADER + length > size:
                    at = _next_magic(f, at + 1)  # a record that was torn
                    continue
                index[head[4:36]] = (at + HEADER, length, head[36], int.from_bytes(head[41:45], "big"))
                at += HEADER + length
        return index

    def get(self, key):
        """(True, value) or (False, None). What cannot be read is not there."""
        place = self.index.get(key)
        if place is None:
            return False, None
        at, length, kind, crc = place
        try:
            with open(os.path.join(self.earlier, FILE), "rb") as f:
                f.seek(at)
                payload = f.read(length)
            if crc32(payload) != crc:
                return False, None
            if kind == INLINE:
                data = payload
            else:
                name = payload.hex()
                with open(os.path.join(self.earlier, name), "rb") as f:
                    data = f.read()
                if sha256(data).digest() != payload:
                    return False, None
            return True, loads(data)
        except Exception:  # missing, or of another version of a class: run the task
            return False, None

    def put(self, key, value, large):
        if self.broken:
            return
        try:
            data = dumps(value, 5) if large else _small(value)
        except Exception:  # it does not pickle: the task runs again
            return
        if data is None:
            return
        if len(data) <= MOST_INLINE:
            self._append(key, INLINE, data)
            return
        digest = sha256(data).digest()
        if self._write_object(digest, data):
            self._append(key, OBJECT, digest)

    def _write_object(self, digest, data):
        path = os.path.join(self.folder, digest.hex())
        if os.path.exists(path):
            return True
        part = "%s.%d" % (path, os.getpid())
        try:
            with open(part, "xb") as f:
                f.write(data)
            os.replace(part, path)
        except OSError:
            self.broken = True
        return not self.broken

    def _append(self, key, kind, payload):
        record = b"".join((MAGIC, key, bytes((kind,)), len(payload).to_bytes(4, "big"), crc32(payload).to_bytes(4, "big"), payload))
        try:
            if self.fd < 0 or self.pid != os.getpid():
                self.pid = os.getpid()
                self.fd = os.open(os.path.join(self.folder, FILE), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            if os.write(self.fd, record) != len(record):
                self.broken = True  # the disk is full: a torn record ends the file
        except OSError:
            self.broken = True

    def close(self):
        if self.fd >= 0 and self.pid == os.getpid():
            fd, self.fd = self.fd, -1
            os.close(fd)


def _next_magic(f, at):
    """Where the next record may begin; the end of the file without one."""
    while True:
        f.seek(at)
        block = f.read(1 << 20)
        found = block.find(MAGIC)
        if found >= 0:
            return at + found
        if len(block) < 1 << 20:
            return at + len(block)
        at += len(block) - len(MAGIC) + 1


class _TooLarge(Exception):
    pass


class _Bounded:
    def __init__(self):
        self.parts = []
        self.size = 0

    def write(self, data):
        self.size += len(data)
        if self.size > MOST_INLINE:
            raise _TooLarge
        self.parts.append(bytes(data))


def _small(value):
    """The pickled value if it is small, else None, without pickling all of it."""
    kind = type(value)
    if kind in (str, bytes, list, tuple, dict) and len(value) > MOST_INLINE:
        return None
    out = _Bounded()
    try:
        Pickler(out, 5).dump(value)
    except _TooLarge:
        return None
    return b"".join(out.parts)
