"""Document and layers → the values of the effective job, in the schema's order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.effective import EffectiveValue, Origin
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.document import Document, Path
from runner.jobfiles.layers import Layers
from runner.jobfiles.lint.source_names import SOURCES
from runner.jobfiles.schema import JOB_SCHEMA

# What these hold by default depends on the kind of source: only what is written is shown.
_AS_WRITTEN = frozenset({"data_source", "auth", "pagination"})
# What means nothing to a job that comes after others, wherever it is given.
_OF_A_SCHEDULE = frozenset({"on_missed", "starting_deadline_seconds"})


def effective_values(
    document: Document, *, path: str, layers: Layers, defaults: JobDefaults
) -> tuple[EffectiveValue, ...]:
    """Every value of a valid job: what the file says, what `_defaults.yaml` files add, and what holds where none
    of them says anything. `path` is that of the job file."""
    return tuple(_Effective(document, path, layers, defaults).values(JOB_SCHEMA.data, ()))


@dataclass(frozen=True, slots=True)
class _Effective:
    document: Document
    path: str
    layers: Layers
    defaults: JobDefaults

    def values(self, schema: Mapping[str, Any], at: Path) -> Iterator[EffectiveValue]:
        for key, child in schema["properties"].items():
            place = (*at, key)
            if key in _OF_A_SCHEDULE and self.document.has(("after",)):
                continue
            if place == (SOURCES,):
                for name in self.document.value(place) or ():
                    yield from self.values(child["additionalProperties"], (*place, name))
            elif "properties" in child and (self.document.has(place) or key not in _AS_WRITTEN):
                yield from self.values(child, place)
            elif found := self._written(place) or self._left_out(child, place):
                yield found

    def _written(self, place: Path) -> EffectiveValue | None:
        """What the job file says, else what the nearest defaults say."""
        own = self.document.value(place)
        if own is not None:
            line = self.document.key_span(place).line
            return EffectiveValue(path=place, value=own, origin=Origin.FILE, source=self.path, line=line)
        given = self.layers.default(place)
        if given is None:
            return None
        value, layer = given
        line = layer.document.key_span(place).line
        return EffectiveValue(path=place, value=value, origin=Origin.DEFAULTS, source=layer.path, line=line)

    def _left_out(self, schema: Mapping[str, Any], place: Path) -> EffectiveValue | None:
        """What holds where no file says anything; None where nothing does."""
        policy = self.layers.policy
        match place:
            case ("timezone",):
                return self._setting(place, "TIMEZONE", self.defaults.timezone)
            case ("timeout_seconds",):
                usual = self._setting(place, "SCRIPT_TIMEOUT", _as_written(self.defaults.timeout_seconds))
                return self._bounded(usual, policy.max_timeout_seconds)
            case ("resources", "memory_mb"):
                return self._bounded(_built_in(place, schema["default"]), policy.max_memory_mb)
            case ("data_source" | "data_sources", *_):
                return None
        return _built_in(place, schema["default"]) if "default" in schema else None

    def _setting(self, place: Path, name: str, value: Any) -> EffectiveValue:
        return EffectiveValue(path=place, value=value, origin=Origin.SETTING, source=name)

    def _bounded(self, usual: EffectiveValue, most: float | None) -> EffectiveValue:
        """The usual value, or the policy's bound where that is lower."""
        layer = self.layers.policy_layer
        if most is None or layer is None or usual.value <= most:
            return usual
        return EffectiveValue(path=usual.path, value=most, origin=Origin.POLICY, source=layer.path)


def _as_written(number: float) -> float:
    """A number as people write it: 300, not 300.0."""
    return int(number) if number == int(number) else number


def _built_in(place: Path, value: Any) -> EffectiveValue:
    return EffectiveValue(path=place, value=value, origin=Origin.BUILT_IN)
