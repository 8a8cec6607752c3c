from runner.core.diagnostic import (
    MESSAGE_LIMIT,
    MOST_SHOWN,
    SECRET_RULE,
    Diagnostic,
    Severity,
    cut_diagnostics,
    has_errors,
    sort_diagnostics,
)


def diagnostic(**changes):
    values = {"path": "jobs.d/a.yaml", "rule": "cron-syntax", "message": "wrong"}
    return Diagnostic(**{**values, **changes})


def test_text_is_what_editors_and_people_read():
    found = diagnostic(line=4, column=16, severity=Severity.WARNING)
    assert str(found) == "jobs.d/a.yaml:4:16: warning: wrong [cron-syntax]"


def test_range_is_never_empty_or_backward():
    assert diagnostic(line=4, column=16).end_line == 4
    assert diagnostic(line=4, column=16).end_column == 17
    assert diagnostic(line=4, column=16, end_line=4, end_column=16).end_column == 17
    spanning = diagnostic(line=4, column=16, end_line=6, end_column=2)
    assert (spanning.end_line, spanning.end_column) == (6, 2)


def test_long_message_is_cut():
    assert len(diagnostic(message="x" * MESSAGE_LIMIT).message) == MESSAGE_LIMIT
    assert not diagnostic(message="x" * MESSAGE_LIMIT).message.endswith("…")
    cut = diagnostic(message="x" * (MESSAGE_LIMIT + 1)).message
    assert len(cut) == MESSAGE_LIMIT
    assert cut.endswith("x…")


def test_only_errors_are_errors():
    warning, error = diagnostic(severity=Severity.WARNING), diagnostic()
    assert not has_errors([])
    assert not has_errors([warning])
    assert has_errors([warning, error])


def test_sorted_by_place_and_each_once():
    later, earlier = diagnostic(line=10), diagnostic(line=9)
    other = diagnostic(path="jobs.d/B.yaml")
    assert sort_diagnostics([later, earlier, other, diagnostic(line=10)]) == (other, earlier, later)


def test_of_too_many_the_errors_are_kept_and_the_rest_is_told():
    few = tuple(diagnostic(line=line) for line in range(1, MOST_SHOWN + 1))
    assert cut_diagnostics(few) == few
    warnings = tuple(diagnostic(line=line, severity=Severity.WARNING) for line in range(1, 50))
    errors = tuple(diagnostic(line=line) for line in range(50, 50 + MOST_SHOWN))
    shown = cut_diagnostics((*warnings, *errors))
    assert shown[:-1] == errors
    assert (shown[-1].rule, shown[-1].severity, shown[-1].line) == ("more-findings", Severity.WARNING, 149)
    assert cut_diagnostics((*errors, diagnostic(line=999)))[-1].severity is Severity.ERROR
    secret = diagnostic(line=999, rule=SECRET_RULE)
    assert secret in cut_diagnostics((*errors, secret))
