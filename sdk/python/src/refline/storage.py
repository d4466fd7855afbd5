"""Where a flow's code is, with the parameters of Prefect 1.4's storage classes."""

from urllib.parse import quote

from ._note import note, refuse


class Storage:
    """A file of a git repository at a branch, a tag or a commit."""

    image = None

    def check_built(self):
        """Nothing is built between a commit and its run."""

    def __init__(self, url, path, branch=None, tag=None, commit=None, secret=None, url_secret=None, options=None):
        given = [v for v in (branch, tag, commit) if v]
        if len(given) > 1:
            refuse("%s: give one of branch_name, tag and commit" % type(self).__name__)
        self.url, self.path = url, path
        self.branch_name, self.tag, self.commit = branch or None, tag or None, commit or None
        self.secret, self.url_secret = secret or None, url_secret or None
        self.flows = {}
        for name, value in (options or {}).items():
            if name in ("secrets", "labels", "add_default_labels", "stored_as_script", "result"):
                if value:
                    note("%s(%s=…) has no effect here" % (type(self).__name__, name))
            else:
                raise TypeError("%s has no parameter %s" % (type(self).__name__, name))

    def add_flow(self, flow):
        """Adds the flow and returns the path of its file."""
        self.flows[flow.name] = self.path
        return self.path

    def ref(self):
        """Kind and name of the ref that is given, or None."""
        for kind, name in (("branch", self.branch_name), ("tag", self.tag), ("commit", self.commit)):
            if name:
                return kind, name
        return None


class Git(Storage):
    """A repository of any host. repo_host may start with http:// or https://."""

    def __init__(self, flow_path, repo=None, repo_host="github.com", flow_name=None, git_token_secret_name=None,
                 git_token_username=None, git_clone_url_secret_name=None, branch_name=None, tag=None, commit=None,
                 clone_depth=1, use_ssh=False, format_access_token=True, **options):
        if not repo and not git_clone_url_secret_name:
            refuse("Git: give repo, or git_clone_url_secret_name with the project registered on the server")
        if git_token_secret_name and git_clone_url_secret_name:
            refuse("Git: give git_token_secret_name or git_clone_url_secret_name, not both")
        if not repo:
            refuse("Git: give repo beside git_clone_url_secret_name: the server knows a project by its repository")
        if flow_name:
            note("Git(flow_name=…) has no effect: the flow that is registered runs")
        if git_token_username:
            note("Git(git_token_username=…) has no effect: the server signs in with the token alone")
        if clone_depth != 1:
            note("Git(clone_depth=%s) has no effect: GIT_DEPTH of the pipeline says it" % clone_depth)
        if not format_access_token:
            note("Git(format_access_token=False) has no effect: tokens are never put into a URL")
        super().__init__(_url(repo_host, repo, use_ssh), flow_path, branch_name, tag, commit,
                         git_token_secret_name, git_clone_url_secret_name, options)


class GitHub(Storage):
    def __init__(self, repo, path, ref=None, access_token_secret=None, base_url=None, **options):
        super().__init__(_url(base_url or "github.com", repo), path, ref, secret=access_token_secret, options=options)


class GitLab(Storage):
    def __init__(self, repo, path, host=None, ref=None, access_token_secret=None, **options):
        if str(repo).isdigit():
            refuse("GitLab: repo=%s is a number; give the path, such as group/project" % repo)
        super().__init__(_url(host or "gitlab.com", repo), path, ref, secret=access_token_secret, options=options)


class Bitbucket(Storage):
    def __init__(self, project, repo, path, workspace=None, host=None, ref="master", access_token_secret=None,
                 cloud_username_secret=None, cloud_app_password_secret=None, **options):
        if cloud_username_secret:
            note("Bitbucket(cloud_username_secret=…) has no effect: the server signs in with the token alone")
        if workspace:
            url = _url(host or "bitbucket.org", "%s/%s" % (workspace, repo))
        elif host:
            url = _url(host, "scm/%s/%s" % (project, repo))
        else:
            refuse("Bitbucket: give workspace for bitbucket.org, or host of your own server")
        super().__init__(url, path, ref, secret=access_token_secret or cloud_app_password_secret, options=options)


class CodeCommit(Storage):
    def __init__(self, repo, path, commit=None, client_options=None, **options):
        region = (client_options or {}).get("region_name")
        if not region:
            refuse("CodeCommit: give client_options={'region_name': …}: it is a part of the repository's URL")
        url = "https://git-codecommit.%s.amazonaws.com/v1/repos/%s" % (region, quote(repo))
        super().__init__(url, path, commit=commit, options=options)


def _refused(name, why):
    def make(self, *_args, **_options):
        refuse("%s: %s" % (name, why))

    return type(name, (), {"__init__": make, "__doc__": "Refused: " + why})


class Docker(Storage):
    """An image that refline image build made: register(build=False) registers the flow
    that is in it. path is the flow's file in the repository."""

    def __init__(self, registry_url=None, base_image=None, dockerfile=None, python_dependencies=None, image_name=None,
                 image_tag=None, env_vars=None, files=None, path=None, stored_as_script=True, build_kwargs=None,
                 extra_dockerfile_commands=None, **options):
        for name, value in (("dockerfile", dockerfile), ("python_dependencies", python_dependencies),
                            ("extra_dockerfile_commands", extra_dockerfile_commands), ("build_kwargs", build_kwargs)):
            if value:
                refuse("Docker: %s=… is not built here; build a base image of it, then refline image build --base IMAGE" % name)
        if not image_name:
            refuse("Docker: give image_name, of the image that refline image build made")
        if env_vars:
            refuse("Docker: env_vars=… belong to the flow's run configuration: DockerRun(env=…)")
        if files:
            note("Docker(files=…) has no effect: the image has the files of its commit")
        for name in ("prefect_version", "local_image", "ignore_healthchecks", "base_url", "tls_config", "prefect_directory"):
            if options.pop(name, None):
                note("Docker(%s=…) has no effect here" % name)
        super().__init__(None, path or "", options=options)
        self.base = base_image
        self.image = "%s:%s" % ("/".join(x.strip("/") for x in (registry_url, image_name) if x), image_tag or "latest")

    def check_built(self):
        refuse("Docker: nothing is built by register; build the image from the commit: refline image build %s --base %s --to %s; then register(build=False)" % (
            self.path or "FLOW", self.base or "python:3.12", self.image))


_tree = "a flow is the file of a pushed commit: use Git(repo=…, flow_path=…)"
Local = _refused("Local", _tree)
Module = _refused("Module", _tree)
S3 = _refused("S3", _tree)
GCS = _refused("GCS", _tree)
Azure = _refused("Azure", _tree)
Webhook = _refused("Webhook", _tree)


def _url(host, repo, ssh=False):
    host, repo = host.rstrip("/"), repo.strip("/")
    if repo.endswith(".git"):
        repo = repo[:-4]
    if ssh:
        return "ssh://git@%s/%s.git" % (host.split("://")[-1], quote(repo))
    return "%s/%s.git" % (host if "://" in host else "https://" + host, quote(repo))
