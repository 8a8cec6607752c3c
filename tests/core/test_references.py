from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.references import (
    RUN_FACTS,
    Reference,
    ReferenceKind,
    ReferenceSyntaxError,
    find_references,
    mask,
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
        ("text", "message", "wrong"),
        [
            ("x ${HOME}", "write ${env:NAME}", "${HOME}"),
            ("${}", "is no reference", "${}"),
            ("${ENV:A}", "is no reference", "${ENV:A}"),
            ("${vault:a}", "is no reference", "${vault:a}"),
            ("${env:}", "environment variable", "${env:}"),
            ("${env:1A}", "environment variable", "${env:1A}"),
            ("${env:A B}", "environment variable", "${env:A B}"),
            ("${env:A\n}", "environment variable", "${env:A\n}"),
            ("${file:key.txt}", "absolute path", "${file:key.txt}"),
            ("${run:weather}", "it has job_name", "${run:weather}"),
        ],
    )
    def test_refused(self, text, message, wrong):
        with pytest.raises(ReferenceSyntaxError) as caught:
            find_references(text)
        assert message in str(caught.value)
        assert text[caught.value.start : caught.value.end] == wrong


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
        }
        assert tuple(facts) == RUN_FACTS


class TestMask:
    def test_every_occurrence(self):
        assert mask("token=s3cret&again=s3cret", ["s3cret"]) == "token=***&again=***"

    def test_longest_first(self):
        assert mask("s3cret-long", ["s3cret", "s3cret-long"]) == "***"

    def test_short_and_empty_values_are_left(self):
        assert mask("a b abc", ["", "a", "abc"]) == "a b abc"
        assert mask("abcd", ["abcd"]) == "***"

    @given(st.text(), st.lists(st.text(alphabet="abcdef", min_size=4), max_size=4))
    def test_no_secret_is_left(self, text, secrets):
        masked = mask(text + "".join(secrets), secrets)
        assert not any(secret in masked for secret in secrets)
