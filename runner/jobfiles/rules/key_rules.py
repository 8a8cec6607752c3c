"""Rules of the job file's schema: which keys there are, and which values they take."""

from runner.jobfiles.rules.rule import API_SOURCE, FILE_SOURCE, Rule, job

KEY_RULES = (
    Rule(
        name="bad-value",
        summary="A value is not one that its key takes.",
        reason=(
            "A key with a fixed set of values, or of a certain form, cannot act on any other. A mistyped"
            " value is told here instead of being replaced by a default."
        ),
        bad=job("on_missed: run_onc\n"),
        good=job("on_missed: run_once\n"),
    ),
    Rule(
        name="misplaced-key",
        summary="A key is known, but not here or not beside another one.",
        reason=(
            "A header for a file, or a script beside a query, would have no effect. Nothing in a job file is"
            " passed over in silence: what stands there counts, or is an error."
        ),
        bad=job(source=FILE_SOURCE + "  method: GET\n"),
        good=job(source=API_SOURCE + "  method: GET\n"),
    ),
    Rule(
        name="missing-key",
        summary="A key that is needed is missing.",
        reason="Without a name, a schedule or jobs to come after, a source and someone to mail there is no job.",
        bad=job(schedule=""),
        good=job(),
    ),
    Rule(
        name="out-of-range",
        summary="A number is too small or too large.",
        reason=(
            "The bounds keep a slip of the keyboard, such as a timeout in milliseconds, from holding up a"
            " machine or from ending every run at once."
        ),
        bad=job("timeout_seconds: 0\n"),
        good=job("timeout_seconds: 300\n"),
    ),
    Rule(
        name="too-long",
        summary="A text or a list is longer than its key takes.",
        reason=(
            "Names stand in file names, mail subjects and tables, and every list is worked through in each"
            " run: each has a bound that real jobs do not reach. A script has at most 40,000 words, signs and"
            " lines, a query 10,000 words and signs: the time to look at them grows with these."
        ),
        bad=job(name=f"job_name: daily_sales_{'and_more_' * 8}report\n"),
        good=job(name="job_name: daily_sales_report\n"),
    ),
    Rule(
        name="too-short",
        summary="A text or a list is empty.",
        reason="An empty value is most often one that was never filled in. A key that is not used is left out.",
        bad=job(consumers="consumer_emails: []\n"),
        good=job(),
    ),
    Rule(
        name="unknown-key",
        summary="A key is not known.",
        reason=(
            "A misspelt key would be passed over, and the job would run with the default of the key that was"
            " meant. The hint names the nearest known key, or the place where this one belongs."
        ),
        bad=job("timeout: 60\n"),
        good=job("timeout_seconds: 60\n"),
    ),
    Rule(
        name="wrong-type",
        summary="A value is of another type than its key takes.",
        reason=(
            "Text is not turned into numbers and one address not into a list: converting on a guess hides"
            " mistakes, such as a unit that was left in."
        ),
        bad=job("timeout_seconds: 5 min\n"),
        good=job("timeout_seconds: 300\n"),
    ),
)
