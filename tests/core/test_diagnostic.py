from runner.core.diagnostic import MESSAGE_LIMIT, Diagnostic, Severity, has_errors, sort_diagnostics


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
