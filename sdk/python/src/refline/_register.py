"""Registers a flow with a server over HTTP."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

from ._note import note


class RegistrationError(RuntimeError):
    """The server refused the flow, or there is none."""


def register(flow, project_name=None, build=True, labels=None, set_schedule_active=True, version_group_id=None,
             no_url=False, idempotency_key=None, **options):
    """Registers the flow's file at its ref; returns the flow's name on the server, or
    None in a run, which only loads the file."""
    if os.environ.get("CI_JOB_ID") or os.environ.get("REFLINE_RUN_ID"):
        return None
    if options:
        raise TypeError("register has no parameter %s" % ", ".join(sorted(options)))
    if flow.storage is None:
        raise ValueError("flow %s has no storage: flow.storage = Git(repo=…, flow_path=…)" % flow.name)
    if version_group_id is not None or idempotency_key is not None:
        note("register(version_group_id=…, idempotency_key=…) have no effect: a flow of the same name is changed, the same again is no change")
    if build:
        flow.storage.check_built()
    server = _Server()
    body, tag = {"name": flow.name, "path": _path(flow)}, None
    if flow.storage.image:
        body["image"] = flow.storage.image
        if project_name:
            body["project"] = project_name
    else:
        body["project"] = _project(server, flow.storage, project_name)
        tag = _ref(flow.storage, body)
    runtime = _runtime(server, flow, labels)
    if runtime:
        body["runtime"] = runtime
    if flow.schedule is not None:
        body["schedules"] = [c.input for c in flow.schedule.clocks] if set_schedule_active else []
    answer = server.call("POST", "/flows", body)
    made = answer["flow"]
    if tag and made["ref"] != tag:
        note("BUILD_TAG=%s is not a tag of the repository; the %s %s is registered" % (tag, made["ref_kind"], made["ref"]))
    if not no_url:
        print("registered %s: %s of %s, %s %s, now at %.7s" % (
            made["name"], made.get("path", ""), made["project"], made["ref_kind"], made["ref"], answer["commit"]))
    return made["name"]


def _path(flow):
    """The flow's file; with the name of its function if the file has several flows."""
    path, code = flow.storage.path, getattr(flow.fn, "__code__", None)
    others = {id(other.fn) for other in getattr(flow.fn, "__globals__", {}).values()
              if isinstance(other, type(flow)) and getattr(other.fn, "__module__", "") == flow.fn.__module__}
    if len(others) < 2 or code is None or not path.lower().endswith(".py"):
        return path
    return path + ":" + flow.fn.__name__


def _ref(storage, body):
    """Fills in the ref: the storage's, else BUILD_TAG if the server finds that tag,
    else GIT_BRANCH, else the branch that is checked out. Returns the BUILD_TAG."""
    given = storage.ref()
    if given:
        body["ref_kind"], body["ref"] = given
        return None
    tag = os.environ.get("BUILD_TAG", "").strip()
    branch = os.environ.get("GIT_BRANCH", "").strip() or _active_branch()
    if branch.startswith("origin/"):
        branch = branch[len("origin/"):]
    if tag:
        body["prefer_tag"] = tag
    if branch:
        body["ref_kind"], body["ref"] = "branch", branch
    elif not tag:
        raise ValueError("no branch is checked out here: give branch_name, tag or commit to the storage, or set GIT_BRANCH")
    return tag


def _active_branch():
    try:
        out = subprocess.run(["git", "symbolic-ref", "--quiet", "--short", "HEAD"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return out.stdout.decode("utf-8", "replace").strip()


def _project(server, storage, name):
    """The project of the storage's repository, made if there is none; with the names of
    the variables that reach it."""
    want = {}
    if storage.secret:
        want["token_variable"] = storage.secret
    if storage.url_secret:
        want["url_variable"] = storage.url_secret
    for p in server.call("GET", "/projects"):
        if _same(p["url"], storage.url):
            if any(p.get(k) != v for k, v in want.items()):
                server.call("PATCH", "/projects/" + urllib.parse.quote(p["name"], safe=""), want)
            if name and name != p["name"]:
                note("register(project_name=%r): the server's project of this repository is %s" % (name, p["name"]))
            return p["name"]
    want["url"] = storage.url
    if name:
        want["name"] = name
    return server.call("POST", "/projects", want)["name"]


def _same(a, b):
    def plain(url):
        url = url.rstrip("/")
        return url[:-4] if url.endswith(".git") else url

    return plain(a) == plain(b)


def _runtime(server, flow, labels):
    fields = flow.run_config.runtime() if flow.run_config is not None else None
    if labels:
        fields = fields or {"executor": "process"}
        fields["tags"] = sorted(set(fields.get("tags", [])) | set(labels))
    if not fields:
        return None
    server.call("PUT", "/runtimes/" + urllib.parse.quote(flow.name, safe=""), dict(fields, name=flow.name))
    return flow.name


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the server that is named, and nowhere else."""

    def redirect_request(self, *_args):
        return None


class _Server:
    def __init__(self):
        self.url = os.environ.get("REFLINE_URL", "").rstrip("/")
        self.token = os.environ.get("REFLINE_TOKEN", "").strip()
        folder = _data_folder()
        if not self.url:
            self.url, self.token = self._local(folder)
        elif not self.token:
            try:
                local, token = self._local(folder)
            except RegistrationError:
                local, token = "", ""
            if local != self.url:
                raise RegistrationError("no token for %s: set REFLINE_TOKEN" % self.url)
            self.token = token
        handlers = [_NoRedirect()]
        if urllib.parse.urlsplit(self.url).hostname in ("127.0.0.1", "::1", "localhost"):
            handlers.append(urllib.request.ProxyHandler({}))
        self.opener = urllib.request.build_opener(*handlers)

    @staticmethod
    def _local(folder):
        try:
            with open(os.path.join(folder, "server.json"), encoding="utf-8") as f:
                url = json.load(f)["url"].rstrip("/")
        except FileNotFoundError:
            raise RegistrationError("no server: start one here with refline server, or set REFLINE_URL and REFLINE_TOKEN") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            raise RegistrationError("the file of the running server in %s: %s" % (folder, e)) from None
        try:
            with open(os.path.join(folder, "owner-token"), encoding="utf-8") as f:
                return url, f.read().strip()
        except OSError as e:
            raise RegistrationError("the server's token for this computer: %s; set REFLINE_TOKEN" % e) from None

    def call(self, method, path, body=None):
        url = self.url + "/api/v1" + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers={
            "Authorization": "Bearer " + self.token, "Content-Type": "application/json", "Accept": "application/json"})
        try:
            with self.opener.open(request, timeout=300) as answer:
                text = answer.read(16 << 20)
        except urllib.error.HTTPError as e:
            raise RegistrationError("%s %s: %s" % (method, url, _reason(e))) from None
        except OSError as e:
            raise RegistrationError("%s %s: %s; does the server run? start one here with refline server" % (
                method, url, getattr(e, "reason", e))) from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise RegistrationError("%s %s: the answer is not JSON; is REFLINE_URL a Refline server?" % (method, url)) from None


def _reason(e):
    text = e.read(64 << 10).decode("utf-8", "replace")
    try:
        problem = json.loads(text)
        lines = [problem.get("detail") or problem.get("title") or text]
        for more in problem.get("errors") or []:
            lines.append("  " + str(more.get("message", more) if isinstance(more, dict) else more))
        return "\n".join(lines)
    except (ValueError, AttributeError):
        return "status %d: %s" % (e.code, text[:500])


def _data_folder():
    own = os.environ.get("REFLINE_DATA")
    if own:
        return os.path.abspath(own)
    xdg = os.environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(xdg):
        return os.path.join(xdg, "refline")
    home = os.path.expanduser("~")
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA", home), "refline")
    if not os.environ.get("HOME") and sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support", "refline")
    return os.path.join(home, ".local", "share", "refline")
