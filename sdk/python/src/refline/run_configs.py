"""Where a flow's jobs run, with the parameters of Prefect 1.4's run configurations.
Registering makes a runtime of it that is named like the flow."""

from ._note import note, refuse


class RunConfig:
    executor = None

    def __init__(self, env=None, labels=None):
        self.env = {k: str(v) for k, v in (env or {}).items()}
        self.labels = sorted(labels or [])

    def runtime(self):
        """The runtime's fields, or None if nothing is asked for."""
        out = {"executor": self.executor or "process"}
        if self.env:
            out["env"] = self.env
        if self.labels:
            out["tags"] = self.labels
        return out if self.executor or len(out) > 1 else None


class UniversalRun(RunConfig):
    """Any runner."""


class LocalRun(RunConfig):
    executor = "process"

    def __init__(self, env=None, working_dir=None, labels=None):
        if working_dir:
            note("LocalRun(working_dir=…) has no effect: a job works in its checkout")
        super().__init__(env, labels)


class DockerRun(RunConfig):
    executor = "docker"

    def __init__(self, image=None, env=None, labels=None, ports=None, host_config=None):
        if ports:
            refuse("DockerRun: ports=… are not published; use a service of the pipeline")
        if host_config:
            refuse("DockerRun: host_config=… is the runner's: set it where refline runner starts")
        super().__init__(env, labels)
        self.image = image

    def runtime(self):
        out = super().runtime()
        if self.image:
            out["image"] = self.image
        return out


class KubernetesRun(RunConfig):
    executor = "kubernetes"

    def __init__(self, job_template_path=None, job_template=None, image=None, env=None, cpu_limit=None,
                 cpu_request=None, memory_limit=None, memory_request=None, service_account_name=None,
                 image_pull_secrets=None, labels=None, image_pull_policy=None):
        if job_template_path and job_template is not None:
            refuse("KubernetesRun: give job_template or job_template_path, not both")
        if job_template_path:
            job_template = _read(job_template_path)
        if isinstance(job_template, str):
            job_template = _parse(job_template, job_template_path or "job_template")
        if job_template is not None and not isinstance(job_template, dict):
            refuse("KubernetesRun: %s is not one job" % (job_template_path or "job_template"))
        pull = {None: None, "Always": "always", "IfNotPresent": "if-not-present", "Never": "never"}
        if image_pull_policy not in pull:
            refuse("KubernetesRun: image_pull_policy=%r is not Always, IfNotPresent or Never" % (image_pull_policy,))
        super().__init__(env, labels)
        self.image, self.pull, self.template = image, pull[image_pull_policy], job_template
        self.account, self.secrets = service_account_name, list(image_pull_secrets or [])
        self.requests = _amounts(cpu_request, memory_request)
        self.limits = _amounts(cpu_limit, memory_limit)

    def runtime(self):
        pod = {"service_account": self.account, "pull_secrets": self.secrets, "requests": self.requests,
               "limits": self.limits, "template": self.template}
        out = dict(super().runtime(), image=self.image, pull=self.pull, kubernetes={k: v for k, v in pod.items() if v})
        return {k: v for k, v in out.items() if v}


def _read(path):
    """The text of a template, which is registered with the flow."""
    kind, colon, rest = str(path).partition("://")
    if colon and kind not in ("file", "local"):
        refuse("KubernetesRun: job_template_path=%s is not a file of this computer; read it and give job_template" % path)
    file = rest if colon else str(path)
    try:
        with open(file, encoding="utf-8") as f:
            return f.read(1 << 20)
    except (OSError, ValueError) as e:
        refuse("KubernetesRun: job_template_path=%s: %s" % (path, e))


def _parse(text, name):
    """A template as JSON, or as YAML where PyYAML is installed."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        import yaml
    except ImportError:
        refuse("KubernetesRun: %s is YAML, which needs PyYAML here: pip install pyyaml; or give job_template as a dict" % name)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as e:
        refuse("KubernetesRun: %s: %s" % (name, e))


def _amounts(cpu, memory):
    return {k: str(v) for k, v in (("cpu", cpu), ("memory", memory)) if v is not None}


class ECSRun:
    def __init__(self, *_args, **_options):
        refuse("ECSRun: no runner starts ECS tasks; use KubernetesRun or DockerRun")


class VertexRun:
    def __init__(self, *_args, **_options):
        refuse("VertexRun: no runner starts Vertex jobs; use KubernetesRun or DockerRun")
