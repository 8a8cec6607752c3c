"""Rules on the tests that a job file holds."""

from runner.jobfiles.rules.rule import Rule, job

_SCRIPT = 'processing_script: |\n  result = data.groupby("category", as_index=False).sum()\n'
_TEST = """\
tests:
  - name: one row a category
    given:
      data:
        - {category: a, amount: 1}
        - {category: a, amount: 2}
    expect: {row_count: 1}
"""
_TIME = "    scheduled_time: "

JOBTEST_RULES = (
    Rule(
        name="bad-time",
        summary="The scheduled_time of a test is not an ISO 8601 time with an offset.",
        reason=(
            "Without an offset the time would be another one on every machine, and the test would pass here"
            " and fail there."
        ),
        bad=job(_SCRIPT + _TEST + _TIME + '"31.01.2026 09:00"\n'),
        good=job(_SCRIPT + _TEST + _TIME + '"2026-01-31T09:00:00Z"\n'),
    ),
    Rule(
        name="duplicate-test-name",
        summary="Two tests of one job have the same name.",
        reason=(
            "Results are told by the name of the test, and runner test --update writes by it. It happens when"
            " a test is copied to make the next one."
        ),
        bad=job(_SCRIPT + _TEST + _TEST.removeprefix("tests:\n")),
        good=job(_SCRIPT + _TEST),
    ),
    Rule(
        name="sample-run-failed",
        summary="The step fails on the first rows of the job's own tests.",
        reason=(
            "validate --run-samples runs each step, in its sandbox, on what the first test gives it. A column"
            " that is missing or misspelt shows here, in review, instead of in the first real run."
        ),
        bad=job(_SCRIPT.replace("category", "categroy") + _TEST),
        good=job(_SCRIPT + _TEST),
    ),
    Rule(
        name="unknown-source",
        summary="A test or check names a source that there is not, or a test leaves one out.",
        reason=(
            "The step would be tested on other data than it will be run on. The one data_source of a job is"
            " called data."
        ),
        bad=job(_SCRIPT + _TEST.replace("      data:", "      sales:")),
        good=job(_SCRIPT + _TEST),
    ),
)
