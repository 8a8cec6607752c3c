"""Rules on scripts, queries, and what they may use."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import Rule, files, job

_SUM = 'processing_script: |\n  result = data.groupby("category").sum()\n'
_POLICY = "jobs.d/_policy.yaml"
_JOB = "jobs.d/daily_sales.yaml"

STEP_RULES = (
    Rule(
        name="import-not-allowed",
        summary="The script imports a module that scripts may not import.",
        reason=(
            "Scripts may use the standard library, less what starts processes, opens sockets or calls into C,"
            " and numpy, pandas, pyarrow and duckdb; the sandbox would stop the rest in the middle of a run."
            " allowed_imports of _policy.yaml adds modules."
        ),
        bad=job("processing_script: |\n  import subprocess\n  result = data\n"),
        good=job("processing_script: |\n  import pandas\n  result = pandas.concat([data, data])\n"),
    ),
    Rule(
        name="outside-project",
        summary="A script or query file is not inside the project.",
        reason=(
            "The file is a part of the job and is reviewed with it. Outside the project it could change"
            " without a commit, and the same revision would run two different things. `.env`, `.git`, /proc, /sys"
            " and what the runner keeps of runs and mails are no part of a job either: what is wrong with a file"
            " is told with its words, and secrets may stand there."
        ),
        bad=job("processing_script_file: ../shared/clean.py\n"),
        good=files(
            {_JOB: job("processing_script_file: steps/clean.py\n"), "steps/clean.py": "result = data.dropna()\n"}
        ),
    ),
    Rule(
        name="over-policy-limit",
        summary="The job asks for more time or memory than the policy allows.",
        reason=(
            "max_timeout_seconds and max_memory_mb of _policy.yaml keep one job from holding up the others. A"
            " job that names neither gets the smaller of default and bound, without a finding."
        ),
        bad=files({_POLICY: "max_timeout_seconds: 900\n", _JOB: job("timeout_seconds: 3600\n")}),
        good=files({_POLICY: "max_timeout_seconds: 900\n", _JOB: job("timeout_seconds: 900\n")}),
    ),
    Rule(
        name="query-not-select",
        summary="The query is not one statement that answers with rows.",
        reason=(
            "The rows that the statement answers with are the result. A second statement, or one that changes"
            " something, has nothing to work on: each run starts from its source alone."
        ),
        bad=job("processing_query: DELETE FROM data WHERE amount = 0\n"),
        good=job("processing_query: SELECT * FROM data WHERE amount <> 0\n"),
    ),
    Rule(
        name="query-reads-outside",
        summary="The query reads a file or another database by itself.",
        reason=(
            "A query reads the sources that the job declares. Anything else would pass by the policy, by the"
            " tests and by the limits on size, and the sandbox refuses it in the run."
        ),
        bad=job("processing_query: SELECT * FROM read_csv('data/other.csv')\n"),
        good=job("processing_query: SELECT * FROM data\n"),
    ),
    Rule(
        name="query-syntax",
        summary="The query does not parse.",
        reason=(
            "It is parsed by DuckDB itself, which runs it: what it refuses here it would refuse in every run."
            " More than 100 brackets, or 8 WITHs and PIVOTs, within each other are not given to it: it could take"
            " minutes to refuse them."
        ),
        bad=job("processing_query: SELEC category FROM data\n"),
        good=job("processing_query: SELECT category FROM data\n"),
    ),
    Rule(
        name="query-unknown-table",
        summary="The query reads a table that is no source of the job.",
        reason="The source is the table data. A name that is none, most often a typing slip, fails every run.",
        bad=job("processing_query: SELECT category FROM sales\n"),
        good=job("processing_query: SELECT category FROM data\n"),
    ),
    Rule(
        name="script-lost-write",
        severity=Severity.WARNING,
        summary="The script writes to a part of a table, which is a copy.",
        reason=(
            "data[...] makes a new table or column. What is written to that, by a second [...] or with"
            " inplace=True, never reaches data. Before pandas 3 much of it did; now the run fails where pandas"
            " sees it, as its result would be as if the line were not there."
        ),
        bad=job('processing_script: |\n  data["amount"][data["amount"] < 0] = 0\n  result = data\n'),
        good=job('processing_script: |\n  data.loc[data["amount"] < 0, "amount"] = 0\n  result = data\n'),
    ),
    Rule(
        name="script-no-result",
        summary="The script never assigns result.",
        reason="What stands in result when the script ends is mailed. A script that assigns none fails every run.",
        bad=job('processing_script: |\n  totals = data.groupby("category").sum()\n'),
        good=job(_SUM),
    ),
    Rule(
        name="script-result-not-always-assigned",
        summary="The script can end without having assigned result.",
        reason=(
            "On some path, such as an if without else, result is never assigned: the job works for weeks and"
            " fails on the day that takes the other path. Assign it on every path, or raise an error with a"
            " message."
        ),
        bad=job('processing_script: |\n  if len(data) > 0:\n      result = data.groupby("category").sum()\n'),
        good=job(
            "processing_script: |\n  result = data\n  if len(data) > 0:\n"
            '      result = data.groupby("category").sum()\n'
        ),
    ),
    Rule(
        name="script-syntax",
        summary="The script does not compile.",
        reason=(
            "It is compiled by Python itself, and not run: what does not compile here fails every run. A few"
            " constructs that take gigabytes to compile, such as finally within finally, are not compiled. Of a"
            " script of more than 6,000 words (about 16 KiB) it is only told whether it compiles and assigns"
            " result: the other rules on scripts take a closer look, which takes time for every word."
        ),
        bad=job('processing_script: |\n  result = data.groupby("category".sum()\n'),
        good=job(_SUM),
    ),
    Rule(
        name="undefined-name",
        summary="The script uses a name that nothing defines.",
        reason=(
            "No assignment, import or built-in gives this name a value, so the line fails whenever it is"
            " reached. It is most often a typing slip. A script is given data, and run with the facts of the"
            " run: run.today, which is none of them, is such a name as well."
        ),
        bad=job('processing_script: |\n  result = dta.groupby("category").sum()\n'),
        good=job(_SUM),
    ),
)
