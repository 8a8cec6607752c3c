"""What `read_common_form` takes, the strict parser takes as well, and reads the same."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.jobfiles import judge
from runner.jobfiles.check import inspect_file
from runner.jobfiles.common_form import place_of_value, places_of_items, read_common_form
from runner.jobfiles.judge import judge_files
from runner.jobfiles.lint import checks as lint
from runner.jobfiles.parse import parse
from runner.jobfiles.read import JobFile, read_job_file

CASES = Path(__file__).parents[1] / "acceptance" / "jobfiles"
FILES = sorted(CASES.glob("*/*.yaml"))

WORDS = st.sampled_from(
    ["a", "job_name", "y", "no", "true", "Null", "0", "17", "007", "-1", "1e3", "./x", "/x", "x: y", "x:", "- x", "a - b",
     "a #b", "# c", '"q r"', "'s'", '"\\n"', "|", ">", "|-", "|2", "&a", "*a", "<<", "[]", "{}", "é", "\u3000", "~", "...", "---", "?", "@a", "a@b.c"]
)  # fmt: skip
LINES = st.one_of(
    st.builds("{}{}:{}{}".format, st.sampled_from(["", "  ", " ", "    "]), WORDS, st.sampled_from(["", " ", "  "]), WORDS),
    st.builds("{}{}:{}".format, st.sampled_from(["", "  "]), st.sampled_from(["a", "b", "on"]), st.sampled_from(["", " ", " # c"])),
    st.builds("{}- {}".format, st.sampled_from(["", "  ", "   "]), WORDS),
    st.builds("{}{}".format, st.sampled_from(["", " ", "  ", "    ", "\t"]), WORDS),
    st.just(""),
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=9).map(lambda lines: "".join(f"{line}\n" for line in lines))


def assert_reads_alike(text):
    data = read_common_form(text)
    if data is None:
        return False
    document, findings = parse("a.yaml", text)
    assert findings == ()
    assert document.data == data
    assert [type(value) for value in document.data.values()] == [type(value) for value in data.values()]
    for key in data:
        event = document.root[2][key][1]
        if document.style((key,)) not in {"|", ">"} and not isinstance(data[key], (dict, list)):
            assert place_of_value(text, key) == (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(data[key], list):
            spans = [document.span((key, place)) for place in range(len(data[key]))]
            assert places_of_items(text, key, len(spans)) == [(span.line, span.column) for span in spans]
    return True


@given(TEXTS)
@example("a: |\n  x\n b: y\n")
@example("a: |\n  x\n \n  y\nb: z\n")
@example("a: |\n\n  x\n")
@example("a: |\n  x\n  # c\n # d\nb: y\n")
@example("a: |\n    x\n  y\n")
@example("a: b\n  c: d\n")
@example("a:\n- b\n  - c\n")
@example("a: |\n  x\n---\nb: c\n")
@example("a: 'b'\n a: c\n")
@example("a:\n  b: |\n   x\n  c: y\n")
@example("a:\n# - b\n\n-   c\n- 'd'  # e\nb: - f\n")
@example("a:\n  - b\nc: d\n")
@example("a: b \n# c\n\nb:   'x y'  # d\n")
def test_what_is_taken_is_read_alike(text):
    assert_reads_alike(text)


@pytest.mark.parametrize("count", [4990, 5010, 20_010])
def test_long_files_stay_below_the_bounds_of_the_parser(count):
    assert assert_reads_alike("a:\n" + "- x\n" * count) == (count < 5000)


def test_many_acceptance_files_are_in_the_common_form():
    taken = 0
    for file in FILES:
        answer = read_job_file(file, file.name)
        taken += isinstance(answer, JobFile) and assert_reads_alike(answer.text)
    assert taken > 60


@pytest.mark.long
def test_the_quick_verdict_is_the_full_one(context):
    answers = [read_job_file(path, path.name) for path in FILES]
    files = [(answer, context) for answer in answers if isinstance(answer, JobFile)]
    assert judge_files(files) == [inspect_file(*file).verdict for file in files]


def test_a_check_that_fails_on_one_file_lets_the_others_pass(context, minimal, monkeypatch):
    def fail(inspection):
        if inspection.path == "b.yaml":
            raise ZeroDivisionError

    monkeypatch.setattr(judge, "CHECKS", (fail, *judge.CHECKS))
    monkeypatch.setattr(lint, "CHECKS", (fail, *lint.CHECKS))
    files = [
        (JobFile(path=path, text=minimal, digest=path, key=(0, 0, 0, 0)), context) for path in ("a.yaml", "b.yaml")
    ]
    assert [[found.rule for found in verdict.diagnostics] for verdict in judge_files(files)] == [
        [],
        ["internal-error"],
    ]


def test_a_file_in_the_common_form_with_broken_layers_is_not_good(context, write, minimal):
    path = write("jobs.d/a.yaml", minimal)
    answer = read_job_file(path, "jobs.d/a.yaml")
    assert judge_files([(answer, context)])[0].good
    write("jobs.d/_defaults.yaml", "timezone: [\n")
    from runner.jobfiles.layers import LayerReader

    layers = LayerReader(context.files, str(path.parent), "jobs.d/", lambda _path, _document: ()).layers("")
    assert not judge_files([(answer, replace(context, layers=layers))])[0].good
