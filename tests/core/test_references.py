from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.references import (
    OWN_SECRETS,
    RUN_FACTS,
    Reference,
    ReferenceKind,
    ReferenceSyntaxError,
    find_references,
    references_are_good,
    run_facts,
    substitute,
)


class TestFind:
    def test_every_kind_with_its_place(self):
        text = "a ${env:API_KEY} ${file:/run/secrets/key} ${run:scheduled_date}"
        found = find_references(text)
        assert [(one.kind, one.name) for one in found] == [
            (ReferenceKind.ENV, "API_KEY"),
            (ReferenceKind.FILE, "/run/secrets/key"),
            (ReferenceKind.RUN, "scheduled_date"),
        ]
        assert [text[one.start : one.end] for one in found] == text.split()[1:]

    @pytest.mark.parametrize("text", ["", "plain", "$HOME", "{env:A}", "$ {env:A}", "100 $", "$$"])
    def test_no_reference(self, text):
        assert find_references(text) == ()

    @pytest.mark.parametrize("fact", RUN_FACTS)
    def test_every_fact_of_a_run(self, fact):
        assert find_references(f"${{run:{fact}}}") == (
            Reference(kind=ReferenceKind.RUN, name=fact, start=0, end=len(fact) + 7),
        )

    @pytest.mark.parametrize(
        ("text", "message", "hint", "wrong"),
        [
            ("x ${HOME}", "${HOME} is no reference", "Write ${env:HOME}.", "${HOME}"),
            ("${}", "${} is no reference", "Write ${env:NAME}, ${file:/path} or ${run:scheduled_date}.", "${}"),
            ("${ENV:A}", "${ENV:A} is no reference", "Write ${env:A}.", "${ENV:A}"),
            ("${env.A}", "${env.A} is no reference", "Write ${env:A}.", "${env.A}"),
            ("${vault:a}", "${vault:a} is no reference", "Write ${env:a}.", "${vault:a}"),
            ("${run.today}", "${run.today} is no reference", "Write ${run:scheduled_date}.", "${run.today}"),
            ("${job_name}", "${job_name} is no reference", "Write ${run:job_name}.", "${job_name}"),
            ("${env:}", "'' is no name of a variable", None, "${env:}"),
            ("${env:1A}", "'1A' is no name of a variable", None, "${env:1A}"),
            ("${env:A-B}", "'A-B' is no name of a variable", None, "${env:A-B}"),
            ("${env:A B}", "'A B' is no name of a variable", None, "${env:A B}"),
            ("${env:A\n}", "'A\\n' is no name of a variable", "Write ${env:A}.", "${env:A\n}"),
            ("${env: A}", "' A' is no name of a variable", "Write ${env:A}.", "${env: A}"),
            (
                "x ${env:SMTP_PASSWORD}",
                "SMTP_PASSWORD is a secret of the runner itself",
                "Set a variable of its own for what the job reads, such as ${env:API_TOKEN}.",
                "${env:SMTP_PASSWORD}",
            ),
            ("${env:A:-none}", "a reference has no default value", "Write ${env:A}.", "${env:A:-none}"),
            (
                "${file:key.txt}",
                "${file:key.txt} needs an absolute path",
                "Write the path from /, such as ${file:/run/secrets/key}.",
                "${file:key.txt}",
            ),
            ("${run:schedule_date}", "a run has no 'schedule_date'", "Write ${run:scheduled_date}.", "${run:schedule_date}"),
            ("${a\nb}", "${a\\nb} is no reference", "Write ${env:NAME}, ${file:/path} or ${run:scheduled_date}.", "${a\nb}"),
            ("${run:month}", "a run has no 'month'", "Write ${run:scheduled_month}.", "${run:month}"),
            ("${run:id}", "a run has no 'id'", "Write ${run:run_id}.", "${run:id}"),
            ("${run:weather}", "a run has no 'weather'", "A run has " + ", ".join(RUN_FACTS) + ".", "${run:weather}"),
            ("x ${env:A", "this ${ is never closed", "Write ${env:A}.", "${env:A"),
            ("x ${run:date ${env:A}", "this ${ is never closed", "Write ${run:scheduled_date}.", "${run:date $"),
            ("${env:${env:A}}", "a reference cannot stand in another", "Write ${env:A}.", "${env:$"),
            ("x ${{ secrets.A }} y", "${{ … }} is no reference", "Write ${env:A}.", "${{ secrets.A }}"),
        ],
    )  # fmt: skip
    def test_refused_with_what_to_write(self, text, message, hint, wrong):
        with pytest.raises(ReferenceSyntaxError) as caught:
            find_references(text)
        assert str(caught.value) == message
        assert caught.value.hint == (
            hint or "A variable has a name of letters, digits and _, such as ${env:API_TOKEN}."
        )
        assert text[caught.value.start : caught.value.end] == wrong

    @pytest.mark.parametrize(
        "text", ["${" + "a" * 100_000, "${env:" + "-" * 100_000 + "}", "${run:" + "x" * 100_000 + "}"]
    )
    def test_a_long_one_is_cut(self, text):
        with pytest.raises(ReferenceSyntaxError) as caught:
            find_references(text)
        assert len(str(caught.value)) < 200
        assert len(caught.value.hint) < 200

    @given(
        st.text(alphabet="${}:/aenvfilru_", max_size=30)
        | st.sampled_from([f"${{run:{fact}}}" for fact in RUN_FACTS])
        | st.sampled_from([f"${{env:{name}{end}}}" for name in OWN_SECRETS for end in ("", "_2", "-")])
    )
    def test_the_quick_answer_is_the_long_one(self, text):
        try:
            find_references(text)
        except ReferenceSyntaxError:
            assert not references_are_good(text)
        else:
            assert references_are_good(text)


class TestSubstitute:
    def test_each_is_replaced_by_its_answer(self):
        values = {"A": "1", "B": "$2 ${env:A} \\1"}
        answer = substitute("<${env:A}|${env:B}|${env:A}>", lambda reference: values[reference.name])
        # What comes in is not read again.
        assert answer == "<1|$2 ${env:A} \\1|1>"

    @given(st.text(alphabet=st.characters(exclude_characters="$")))
    def test_text_without_references_is_itself(self, text):
        assert substitute(text, lambda reference: "never") == text

    def test_a_wrong_one_is_refused_here_too(self):
        with pytest.raises(ReferenceSyntaxError):
            substitute("${HOME}", lambda reference: "never")


class TestRunFacts:
    def test_dates_are_those_of_the_zone(self):
        facts = run_facts(
            job_name="daily",
            run_id="01",
            attempt=2,
            scheduled_time=datetime(2025, 12, 31, 23, 30, tzinfo=UTC),
            timezone="Europe/Berlin",
            data_interval_start=datetime(2025, 12, 30, 23, 30, tzinfo=UTC),
            cursor=17,
        )
        assert facts == {
            "job_name": "daily",
            "run_id": "01",
            "attempt": "2",
            "scheduled_time": "2026-01-01T00:30:00+01:00",
            "scheduled_date": "2026-01-01",
            "scheduled_year": "2026",
            "scheduled_month": "01",
            "scheduled_day": "01",
            "data_interval_start": "2025-12-31T00:30:00+01:00",
            "data_interval_end": "2026-01-01T00:30:00+01:00",
            "cursor": "17",
        }
        assert tuple(facts) == RUN_FACTS
