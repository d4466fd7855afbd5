"""Writes ../data: the resource schemas and rule tables of cfn-lint (MIT-0).

    python3 -m venv venv && venv/bin/pip install cfn-lint
    venv/bin/python generate.py ../data

One archive, schemas.bin: a line of text with the sizes of its parts, an index,
a dictionary, and one raw deflate stream with that dictionary for each schema,
so that a template costs only the types it uses. The index has a line for each
entry: name, offset, length and, for a resource type, the regions as a bit mask.
rules.json lists every rule of cfn-lint: what the product knows of each.
"""

import collections
import json
import os
import sys
import zlib

import cfnlint
from cfnlint.helpers import load_plugins
from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema
from cfnlint.rules.jsonschema.CfnLintJsonSchemaRegional import CfnLintJsonSchemaRegional
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from cfnlint.version import __version__

ROOT = os.path.dirname(cfnlint.__file__)
SCHEMAS = os.path.join(ROOT, "data", "schemas")

# What is said of a type beyond its properties, and is used.
KEEP = {
    "additionalProperties", "properties", "definitions", "required", "oneOf", "anyOf", "allOf", "requiredXor",
    "requiredOr", "dependentExcluded", "dependentRequired", "patternProperties", "if", "then", "else", "not",
    "primaryIdentifier", "readOnlyProperties", "createOnlyProperties", "conditionalCreateOnlyProperties",
    "lifecycle", "taggable", "tagging",
}
# What is said of a value and is not used.
DROP = {
    "description", "title", "$comment", "insertionOrder", "examples", "default", "$schema", "markdownDescription",
    "$id", "relationshipRef", "arrayType", "_description",
}
MAPS = {"properties", "patternProperties", "definitions", "dependencies", "dependentRequired", "dependentExcluded"}


def strip(schema, names=False):
    if isinstance(schema, list):
        return [strip(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for key, value in schema.items():
        if not names and key in DROP:
            continue
        if not names and key in ("enum", "const", "gather"):
            out[key] = value
            continue
        out[key] = strip(value, not names and key in MAPS)
    return out


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def resource(name, region):
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, name).schema
    out = strip({k: v for k, v in schema.items() if k in KEEP})
    tagging = out.pop("tagging", None)
    if tagging:
        out["tagging"] = {k: tagging[k] for k in ("taggable", "tagProperty") if k in tagging}
    out["attributes"] = list(PROVIDER_SCHEMA_MANAGER.get_type_getatts(name, region).data.keys())
    ref = PROVIDER_SCHEMA_MANAGER.get_type_ref(name, region)
    out["ref"] = {k: v for k, v in strip(ref).items() if k in ("format", "anyOf", "type")}
    return out


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def main(out):
    entries = {}
    masks = {}
    providers = {}
    for file in sorted(os.listdir(os.path.join(SCHEMAS, "providers"))):
        if file.endswith(".json"):
            providers[file[:-5]] = read(os.path.join(SCHEMAS, "providers", file))
    sam = providers.pop("sam")
    regions = sorted(providers)
    for name in sam:
        entries[name] = resource(name, "us-east-1")
        masks[name] = (1 << len(regions)) - 1
    for bit, region in enumerate(regions):
        for name in providers[region]:
            masks[name] = masks.get(name, 0) | 1 << bit
            if name not in entries:
                entries[name] = resource(name, "us-east-1" if name in providers["us-east-1"] else region)
    for name in ("Custom::Any", "AWS::CloudFormation::CustomResource", "Module"):
        if name not in entries:
            entries[name] = resource(name, "us-east-1")
            masks[name] = (1 << len(regions)) - 1

    other = os.path.join(SCHEMAS, "other")
    for folder in sorted(f for f in os.listdir(other) if os.path.isdir(os.path.join(other, f))):
        for file in sorted(os.listdir(os.path.join(other, folder))):
            if file.endswith(".json") and folder not in ("draft7", "deployment_files"):
                entries["other/" + folder + "/" + file[:-5]] = strip(read(os.path.join(other, folder, file)))

    rules = []
    seen = set()
    for rule in sorted(load_plugins(os.path.join(ROOT, "rules")), key=lambda r: r.id):
        if not rule.id or rule.id in seen:
            continue
        seen.add(rule.id)
        row = {"id": rule.id, "title": rule.shortdesc}
        keywords = sorted(getattr(rule, "keywords", []) or [])
        if keywords:
            row["at"] = keywords
        schema = getattr(rule, "_schema", None)
        if isinstance(rule, CfnLintJsonSchemaRegional) and schema:
            row["regional"] = True
            distinct, of = [], {}
            for region, s in schema.items():
                s = strip(s)
                if s not in distinct:
                    distinct.append(s)
                of[region] = distinct.index(s)
            entries["rule/" + rule.id] = {"distinct": distinct, "regions": of}
        elif isinstance(rule, CfnLintJsonSchema) and schema and keywords:
            row["schema"] = True
            entries["rule/" + rule.id] = strip(schema)
        if getattr(rule, "all_matches", False):
            row["all"] = True
        if row.get("schema") or row.get("regional"):
            own = [n for n in ("validate",) if n in type(rule).__dict__]
            if own:
                row["own"] = True
        rules.append(row)

    specs = os.path.join(ROOT, "data", "AdditionalSpecs")
    for file in ("LmbdRuntimeLifecycle", "StatefulResources"):
        entries["spec/" + file] = read(os.path.join(specs, file + ".json"))
    policies = read(os.path.join(specs, "Policies.json"))
    services = {prefix: service for prefix, service in sorted(policies.items()) if isinstance(service, dict)}
    entries["spec/Policies"] = {prefix: sorted(service["Actions"]) for prefix, service in services.items()}
    for prefix, service in services.items():
        entries["policy/" + prefix] = targets(service)

    texts = {name: dump(value).encode() for name, value in sorted(entries.items())}
    shared = dictionary(texts)
    blobs, lines, at = [], [], 0
    for name, text in texts.items():
        z = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, shared)
        blob = z.compress(text) + z.flush()
        mask = f" {masks[name]:x}" if name in masks else ""
        lines.append(f"{name} {at} {len(blob)}{mask}")
        blobs.append(blob)
        at += len(blob)
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    index = z.compress((" ".join(regions) + "\n" + "\n".join(lines)).encode()) + z.flush()
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "schemas.bin"), "wb") as f:
        f.write(f"{len(index)} {len(shared)} cfn-lint {__version__}\n".encode() + index + shared + b"".join(blobs))
    with open(os.path.join(out, "rules.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(dump(r) for r in rules) + "\n]\n")
    print(len(entries), "entries", at + len(index) + len(shared), "bytes", len(rules), "rules")


def targets(service):
    """The ARNs of a service's resources, and for each action the numbers of those that it works on."""
    arns, numbers = [], {}
    for name, kind in sorted(service.get("Resources", {}).items()):
        formats = kind.get("ARNFormats") or []
        if formats:
            numbers[name] = len(arns)
            arns.append(formats[-1])
    actions = {}
    for name, action in sorted(service["Actions"].items()):
        of = action.get("Resources") or []
        of = [numbers[r.lower()] for r in ([of] if isinstance(of, str) else of) if r.lower() in numbers]
        if of:
            actions[name] = of
    return {"arns": arns, "actions": actions}


def dictionary(texts):
    """The pieces that most schemas share, the most valuable last."""
    count = collections.Counter()

    def pieces(value, depth=0):
        if isinstance(value, dict):
            for key, v in value.items():
                s = f'"{key}":{dump(v)}'
                if 20 <= len(s) <= 600:
                    count[s] += 1
                pieces(v, depth + 1)
        elif isinstance(value, list):
            for v in value:
                pieces(v, depth + 1)

    for text in texts.values():
        pieces(json.loads(text))
    chosen, size, joined = [], 0, ""
    for s, n in sorted(count.items(), key=lambda x: -(x[1] - 1) * len(x[0])):
        if n < 3 or size > 31000:
            break
        if s in joined:
            continue
        chosen.append(s)
        joined += s + ","
        size += len(s) + 1
    return ",".join(reversed(chosen)).encode()[-32768:]


if __name__ == "__main__":
    main(sys.argv[1])
