"""Pages whose parameters go into the body of the request: whether they can be put there."""

from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection

_RULE = "bad-body-param"
_IN = "in"
_PLACES = ("param", "size_param")
_OR_ADDRESS = "or remove in: body, where the API reads it from the address."


def check_page_params(inspection: Inspection, path: Path, source: dict[str, Any]) -> None:
    """Rule `bad-body-param`: with `in: body` there is a body, a mapping, and `param` and `size_param` lead
    to places in it, each to one of its own."""
    pagination = source.get("pagination")
    if not isinstance(pagination, dict) or pagination.get(_IN) != "body":
        return
    place, body = (*path, "pagination"), source.get("body")
    if not inspection.refused.isdisjoint({(*place, _IN), (*path, "body")}):
        return
    if not isinstance(body, dict):
        message, hint = _no_body(source)
        inspection.report((*place, _IN), _RULE, message, hint)
        return
    texts = {key: inspection.text(*place, key) for key in _PLACES}
    faults = {key: fault for key, text in texts.items() if text and (fault := _fault(body, text))}
    if not faults:
        faults = _clash(texts["param"] or "", texts["size_param"] or "")
    for key, fault in faults.items():
        inspection.report((*place, key), _RULE, *fault)


def _no_body(source: dict[str, Any]) -> tuple[str, str]:
    """Why there is nothing that a parameter could be put into, and a hint."""
    if "body" in source:
        return "body is no mapping, so that no parameter can be put into it", f"Write it with keys, {_OR_ADDRESS}"
    if source.get("method") == "POST":
        return (
            "there is no body that the parameter could be put into",
            f"Write body: {{}} beside method, {_OR_ADDRESS}",
        )
    return (
        "a GET has no body that the parameter could be put into",
        f"Write method: POST and body: {{}}, {_OR_ADDRESS}",
    )


def _clash(param: str, size_param: str) -> dict[str, tuple[str, str]]:
    """Why one of two paths has no place beside the other, by its key; empty where each has one."""
    ways = tuple(zip(param.split("."), size_param.split("."), strict=False))
    if not (param and size_param) or any(name != other for name, other in ways):
        return {}
    message = f"{size_param!r} has no place in body beside {param!r} of param: one of them would replace the other"
    return {"size_param": (message, "Write the keys that lead to a place of its own.")}


def _fault(body: dict[str, Any], path: str) -> tuple[str, str] | None:
    """Why a path leads to no place in a body, and a hint."""
    names = path.split(".")
    if "" in names:
        return f"{path!r} has a dot too many", "Write the keys that lead to it in body, such as variables.after."
    node: Any = body
    for count, name in enumerate(names[:-1], start=1):
        node = node.get(name, {})
        if not isinstance(node, dict):
            there = ".".join(names[:count])
            return (
                f"{path!r} leads through {there} of body, which is no mapping",
                f"Remove {there} there, or write it with keys.",
            )
    return None
