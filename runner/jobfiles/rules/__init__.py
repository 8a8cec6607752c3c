"""The catalogue of rules: what `runner rules` lists, `validate --explain` tells and SARIF carries.

Every rule that a finding can name is here, in the module of its topic. The tests hold that, and check the
examples.
"""

import difflib
from types import MappingProxyType
from typing import Any

from runner.errors import UsageError
from runner.jobfiles.rules.file_rules import FILE_RULES
from runner.jobfiles.rules.folder_rules import FOLDER_RULES
from runner.jobfiles.rules.jobtest_rules import JOBTEST_RULES
from runner.jobfiles.rules.key_rules import KEY_RULES
from runner.jobfiles.rules.people_rules import PEOPLE_RULES
from runner.jobfiles.rules.rule import Rule
from runner.jobfiles.rules.schedule_rules import SCHEDULE_RULES
from runner.jobfiles.rules.source_rules import SOURCE_RULES
from runner.jobfiles.rules.step_rules import STEP_RULES
from runner.jobfiles.rules.yaml_rules import YAML_RULES

__all__ = ["RULES", "RULES_BY_NAME", "Rule", "find_rule", "rule_document"]

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *FILE_RULES,
            *YAML_RULES,
            *KEY_RULES,
            *SCHEDULE_RULES,
            *SOURCE_RULES,
            *STEP_RULES,
            *PEOPLE_RULES,
            *FOLDER_RULES,
            *JOBTEST_RULES,
        ),
        key=lambda rule: rule.name,
    )
)
RULES_BY_NAME = MappingProxyType({rule.name: rule for rule in RULES})


def find_rule(name: str) -> Rule:
    """The rule of a name.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    rule = RULES_BY_NAME.get(name)
    if rule is not None:
        return rule
    nearest = difflib.get_close_matches(name.strip().lower().replace("_", "-"), RULES_BY_NAME, n=1, cutoff=0.5)
    hint = "runner rules lists all of them."
    raise UsageError(f"there is no rule {name!r}", hint=f"Did you mean {nearest[0]}? {hint}" if nearest else hint)


def rule_document(rule: Rule) -> dict[str, Any]:
    """One rule in the answer of `rules --json`; a rule without examples has null for them."""
    return {
        "name": rule.name,
        "severity": str(rule.severity),
        "summary": rule.summary,
        "reason": rule.reason,
        "bad": rule.bad or None,
        "good": rule.good or None,
    }
