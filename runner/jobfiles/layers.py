"""`_defaults.yaml` and `_policy.yaml`: what the folders around a job file say about it.

The policy stands at the top of the folder of jobs; defaults may stand in every folder, and a nearer one wins.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from runner.core.diagnostic import Diagnostic, Severity, has_errors
from runner.core.job_policy import JobPolicy
from runner.jobfiles.document import Document, Path
from runner.jobfiles.files import FileSource
from runner.jobfiles.read import ReadFault, ReadProblem
from runner.jobfiles.schema import DEFAULTS_SCHEMA, POLICY_SCHEMA, SchemaCheck

DEFAULTS_FILE = "_defaults.yaml"
POLICY_FILE = "_policy.yaml"
# Read by nobody, but what is in them was meant to count.
_MISNAMED = {
    "_defaults.yml": DEFAULTS_FILE,
    "_default.yaml": DEFAULTS_FILE,
    "_default.yml": DEFAULTS_FILE,
    "_policy.yml": POLICY_FILE,
    "_policies.yaml": POLICY_FILE,
    "_policies.yml": POLICY_FILE,
}
# As those, unless there is the file that is meant: some file systems take the one name for the other.
_MISSPELT = {
    "_defaults.YAML": DEFAULTS_FILE,
    "_Defaults.yaml": DEFAULTS_FILE,
    "_policy.YAML": POLICY_FILE,
    "_Policy.yaml": POLICY_FILE,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One file that says something about others: its shown path and its document."""

    path: str
    document: Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """What holds for the job files of one folder.

    `defaults` are nearest first. `diagnostics` are the findings in these files; with an error among them, no job
    below can be in force. `digest` tells one state of these files from another, and is empty where there are none;
    `texts` are the files' texts by shown path.
    """

    defaults: tuple[Layer, ...] = ()
    policy_layer: Layer | None = None
    policy: JobPolicy = field(default_factory=JobPolicy)
    diagnostics: tuple[Diagnostic, ...] = ()
    digest: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    def default(self, path: Path) -> tuple[Any, Layer] | None:
        """The value that defaults give a path, and the file it comes from; None where none does.

        Of a mapping that several files hold parts of, the nearest part: ask for its keys.
        """
        for layer in self.defaults:
            value = layer.document.value(path)
            if value is not None:
                return value, layer
        return None

    def merged(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A job's data with defaults below it: mappings are put together, everything else is replaced."""
        for layer in self.defaults:
            data = _below(data, layer.document.data)
        return data


NO_LAYERS = Layers()

CheckLayer = Callable[[str, Document], tuple[Diagnostic, ...]]


class LayerReader:
    """Reads the layers of one tree of jobs, each file once.

    Args:
        root: the top of the tree, as a location of `files`.
        prefix: what stands before a path below `root` when it is shown; ends in `/`, or is empty.
        check_defaults: the meaning of a `_defaults.yaml`, beyond its schema.
    """

    def __init__(self, files: FileSource, root: str, prefix: str, check_defaults: CheckLayer) -> None:
        self._files = files
        self._root = root
        self._prefix = prefix
        self._check_defaults = check_defaults
        self._known: dict[str, Layers] = {}

    def layers(self, folder: str) -> Layers:
        """What holds for the files of a folder, named relative to the top with `/`; empty for the top itself."""
        known = self._known.get(folder)
        if known is None:
            outer = self.layers(folder.rpartition("/")[0]) if folder else self._policy()
            known = self._with_defaults(outer, folder)
            self._known[folder] = known
        return known

    def texts(self) -> Mapping[str, str]:
        """The texts of all layers that were read, by shown path."""
        return {path: text for layers in self._known.values() for path, text in layers.texts.items()}

    def _policy(self) -> Layers:
        layer, findings, digest = self._read(POLICY_FILE, POLICY_SCHEMA)
        if layer is None:
            return Layers(diagnostics=findings, digest=digest)
        good = layer.document.complete and not has_errors(findings)
        return Layers(
            policy_layer=layer,
            policy=_build_policy(layer.document.data) if good else JobPolicy(),
            diagnostics=findings,
            digest=digest,
            texts={layer.path: layer.document.text},
        )

    def _with_defaults(self, outer: Layers, folder: str) -> Layers:
        base = f"{folder}/" if folder else ""
        layer, findings, digest = self._read(base + DEFAULTS_FILE, DEFAULTS_SCHEMA)
        strays = self._strays(base)
        if layer is None and not findings and not strays:
            return outer
        texts = dict(outer.texts)
        defaults = outer.defaults
        if layer is not None:
            texts[layer.path] = layer.document.text
            if isinstance(layer.document.data, dict):
                findings = (*findings, *self._check_defaults(layer.path, layer.document))
                defaults = (layer, *defaults)
        return Layers(
            defaults=defaults,
            policy_layer=outer.policy_layer,
            policy=outer.policy,
            diagnostics=(*outer.diagnostics, *findings, *strays),
            digest=hashlib.sha256(f"{outer.digest} {folder} {digest} {strays}".encode()).hexdigest(),
            texts=texts,
        )

    def _read(self, name: str, schema: SchemaCheck) -> tuple[Layer | None, tuple[Diagnostic, ...], str]:
        """The layer of a file, its findings and digest; no layer where there is no file, or it cannot be read."""
        location, shown = self._place(name)
        if self._files.probe(location, by_content=False) is None:
            return None, (), ""
        answer = self._files.read(location, shown)
        if isinstance(answer, ReadFault):
            gone = answer.problem is ReadProblem.GONE
            return None, () if gone else (answer.finding,), answer.digest
        from runner.jobfiles.parse import parse  # where there is a file: a folder without one needs no parser

        document, findings = parse(shown, answer.text)
        if document.complete:
            findings = (*findings, *schema.findings(shown, document))
        return Layer(path=shown, document=document), findings, answer.digest

    def _strays(self, base: str) -> tuple[Diagnostic, ...]:
        """Findings for files that look as if they counted, and do not."""
        found = []
        if base and self._exists(base + POLICY_FILE):
            found.append(
                Diagnostic(
                    path=self._place(base + POLICY_FILE)[1],
                    rule="policy-misplaced",
                    message="a policy counts only at the top of the folder of jobs",
                    hint=f"Move what it says to {self._place(POLICY_FILE)[1]}.",
                )
            )
        found.extend(
            Diagnostic(
                path=self._place(base + name)[1],
                severity=Severity.WARNING,
                rule="settings-file-name",
                message=f"{name} is not read",
                hint=f"Rename it to {meant}.",
            )
            for name, meant in chain(_MISNAMED.items(), _MISSPELT.items())
            if self._exists(base + name) and not (name in _MISSPELT and self._exists(base + meant))
        )
        return tuple(found)

    def _exists(self, name: str) -> bool:
        return self._files.probe(self._place(name)[0], by_content=False) is not None

    def _place(self, name: str) -> tuple[str, str]:
        return f"{self._root}/{name}" if self._root else name, self._prefix + name


def _below(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    merged = dict(data)
    for key, value in defaults.items():
        own = merged.get(key)
        if own is None:
            merged[key] = value
        elif isinstance(own, dict) and isinstance(value, dict):
            merged[key] = _below(own, value)
    return merged


def _build_policy(data: Mapping[str, Any]) -> JobPolicy:
    def names(key: str) -> tuple[str, ...] | None:
        return tuple(data[key]) if key in data else None

    memory, runs = data.get("max_memory_mb"), data.get("max_runs_per_hour")
    return JobPolicy(
        allowed_hosts=names("allowed_hosts"),
        private_hosts=names("private_hosts") or (),
        recipient_domains=names("recipient_domains"),
        allowed_imports=names("allowed_imports") or (),
        data_roots=names("data_roots"),
        max_timeout_seconds=data.get("max_timeout_seconds"),
        max_memory_mb=None if memory is None else int(memory),
        max_runs_per_hour=None if runs is None else int(runs),
        require_owner=data.get("require_owner", False),
    )
