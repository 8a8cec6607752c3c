"""No job file, however hostile, crashes the check, holds it up, or takes more than 100 MiB."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.diagnostic import MESSAGE_LIMIT
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.check import inspect_file
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.read import JobFile, read_job_file

ACCEPTANCE = Path(__file__).parents[1] / "acceptance" / "jobfiles"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LARGEST = 256 * 1024
# Of one file, against as many additions of Python at the same moment: 5 to 20 ms, by what else the machine does.
ADDITIONS = 200_000
MOST = 25
# One that takes longer is looked at so often, and its best counts: what comes between is no fault of the file.
LOOKS = 5
MEMORY_MB = 100

FILE = "data_source:\n  source_type: file\n  location: samples/sales.csv\n  file_type: csv\n"
API = "data_source:\n  source_type: api\n  location: https://api.example.com/sales\n"


def job(extra="", *, source=FILE, time="'0 9 * * 1-5'", mail="[analyst@example.com]"):
    return f"job_name: sales\nschedule_time: {time}\n{source}{extra}consumer_emails: {mail}\n"


def api(extra):
    return job(source=API + extra)


def at(location, source_type="api"):
    return job(source=f"data_source:\n  source_type: {source_type}\n  location: '{location}'\n")


def script(text):
    return job("processing_script: |\n" + "".join(f"  {line}\n" for line in text.split("\n")))


def query(text):
    return job(f"processing_query: {json.dumps(text)}\n")


def database(text):
    """A query that a database answers: of the longest that is taken, or as long as it is."""
    source = "data_source:\n  source_type: database\n  location: ${env:DB}\n"
    return job(source=source + f"  query: {json.dumps(text[:65_536])}\n")


def filled(unit):
    return unit * (LARGEST // len(unit.encode()))


def stairs(word, last):
    """Blocks of Python, each inside the one before."""
    lines = [" " * depth + word for depth in range(19)]
    return "\n".join([*lines, " " * len(lines) + last])


# Each of these once took long, or is built to: what a scanner, a regular expression, a recursion or a list of
# findings could stumble over.
WORST = {
    # the scanner of YAML
    **{f"only {unit!r}": filled(unit) for unit in "[{]}'\"|*&!@%-?:#\t\r\n \0a\\"},
    **{f"only {unit!r}": filled(unit) for unit in ("- ", "-\n", "? ", ": ", "a: ", "[]", "{}", "\r\n", "#\n")},
    **{f"only {unit!r}": filled(unit) for unit in ("---\n", "...\n", "%A b\n", "${", "é", "𝔘", "a\u0301")},
    "an open quote": '"' + "a" * (LARGEST - 1),
    "a quoted text of line ends": '"' + "\n" * (LARGEST - 2) + '"',
    "a quoted text of escapes": '"' + "\\x41" * (LARGEST // 4 - 1) + '"',
    "a plain text of lines": "a" + "\na" * (LARGEST // 2 - 1),
    "a block text of lines": "a: |\n" + " b\n" * (LARGEST // 3 - 2),
    "a block text far to the right": "a: |\n" + " " * (LARGEST - 6) + "b",
    "stairs": "\n".join(" " * depth + "a:" for depth in range(700)),
    "a long key": "'" + "k" * (LARGEST - 8) + "': 1\n",
    "brackets that close": "[" * (LARGEST // 2) + "]" * (LARGEST // 2),
    "commas": "[" + "," * (LARGEST - 1),
    "a merge bomb": "a0: &a0 {k: v}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 9}]}}\n" for n in range(1, 50)),
    # numbers and words
    "a huge integer": job("timeout_seconds: " + "9" * 250_000 + "\n"),
    "a huge fraction": job("timeout_seconds: 0." + "9" * 250_000 + "\n"),
    "a huge hexadecimal number": job("timeout_seconds: 0x" + "f" * 250_000 + "\n"),
    "a huge sexagesimal number": job("timeout_seconds: 1" + ":1" * 120_000 + "\n"),
    "a huge number with underscores": job("timeout_seconds: 1" + "_" * 250_000 + "\n"),
    "a huge date": job("description: 2025-11-09 " + "1" * 250_000 + "\n"),
    # many values
    "20,000 values": "[" + "1," * 19_999 + "]",
    "20,000 values in a body": api("  method: POST\n  body: [" + "1," * 19_970 + "]\n"),
    "10,000 keys in a body": api("  method: POST\n  body: {" + ",".join(f"k{n}: v" for n in range(9_970)) + "}\n"),
    "many values at the greatest depth": api(
        "  method: POST\n  body: [" + ("[" * 29 + "]" * 29 + ",") * 600 + "]\n"
    ),
    # names and addresses
    "a long name": job().replace("sales", "A!" * 120_000, 1),
    "a long wrong value": job("on_missed: " + "run_once" * 6_000 + "\n"),
    "a long unknown key": job("'" + "schedule_time" * 75 + "': 1\n"),
    "a long address": job(mail="['" + "a" * 100_000 + "@example.com']"),
    "an address of ats": job(f"owner: '{'@' * 200_000}'\n"),
    "an address of labels": job(mail="['a@" + "a." * 100_000 + "com']"),
    "an address of hyphens": job(mail="['a@" + "a-" * 120 + "']"),
    "an address of digits": job(mail="['a@" + "\u0660" * 63 + ".com']"),
    "100 bad addresses": job(mail="[" + ",".join(f"a{n}@exa_mple.com" for n in range(100)) + "]"),
    "100 international addresses": job(mail="[" + ",".join(f"é{n}@exämple{n}.com" for n in range(100)) + "]"),
    # schedules
    "a schedule of lists": job(time="'" + "*/1," * 50_000 + " * * * *'"),
    "a schedule of blanks": job(time="'" + " " * 200_000 + "'"),
    "a schedule of every number": job(time="'" + ",".join(map(str, range(33))) + " * * * *'"),
    "a schedule that never fires": job(time="'0 0 31 2,4,6,9,11 *'"),
    "a schedule that seldom fires": job("timezone: Europe/Berlin\n", time="'0 0 29 2 1'"),
    "a schedule that often fires": job("timezone: Antarctica/Troll\n", time="'1-59/2 1-23 * * *'"),
    "a long time zone": job("timezone: " + "Europe/Berli" * 5 + "\n"),
    # locations, references, paths
    **{
        f"an address of {unit!r}": at("https://" + unit * (250_000 // len(unit.encode())))
        for unit in ("[", "%", "é", ":")
    },
    "a path of folders": at("a/" * 120_000, "file"),
    "a path upwards": at("../" * 80_000, "file"),
    "a path like a scheme": at("a+" * 120_000, "file"),
    "100,000 open references": at("https://a/" + "${" * 100_000),
    "30,000 unknown facts": api("  params: {a: '" + "${run:x}" * 30_000 + "'}\n"),
    "80,000 open references in a body": api("  method: POST\n  body: ['" + "${a" * 80_000 + "']\n"),
    "dollars": api("  headers: {a: '" + "$" * 250_000 + "'}\n"),
    **{
        f"a path to rows of {unit!r}": api(f"  records_path: {json.dumps((unit * 512)[:511] + 'a')}\n")
        for unit in ("[", "(", "!", "a|", '"', "{a:", "[a,", "`", "a.")
    },
    "30,000 references": api("  method: POST\n  body: ['" + "${env:A}" * 30_000 + "']\n"),
    "20,000 wrong references": api("  method: POST\n  body: [" + "'${x}'," * 19_900 + "]\n"),
    **{
        f"9,000 recipients such as {sample!r}": job(mail="[" + ",".join(sample % n for n in range(9_000)) + "]")
        for sample in ("é%d@exämple.com", "a%d@exa_mple.com", "a%.0d@example.com")
    },
    **{
        f"an address of 200,000 {unit!r}": job(mail=f"['a@{unit * (200_000 // len(unit.encode()))}.com']")
        for unit in ("é", "a\u0301", "a-")
    },
    **{f"a path to rows of 200,000 {unit}": api(f"  records_path: '{unit * 200_000}'\n") for unit in "`("},
    "300 unknown keys before a long path": "".join(f"k{n}: 1\n" for n in range(300))
    + api("  records_path: '" + "`" * 200_000 + "'\n"),
    "a time zone of folders": job("timezone: " + "a/" * 100_000 + "\n"),
    "an address of digits behind a colon": at("https://a:" + "1" * 250_000),
    # credentials
    "6,000 credentials": api(
        "  params: {" + ",".join(f"token_{n}_token: 'AKIA{n:016d}'" for n in range(5_000)) + "}\n"
    ),
    "1,000 credentials in a script": script("\n".join(f"k{n} = 'ghp_{n:036d}'" for n in range(1_000))),
    "blanks behind a scheme": api("  method: POST\n  body: {authorization: 'Bearer a" + " " * 200_000 + "b'}\n"),
    "a long name in a body": api("  method: POST\n  body: {'" + "-" * 100_000 + "': x}\n"),
    **{
        f"text like a credential: {unit[:12]!r}": job(
            "description: |\n  " + unit * (240_000 // len(unit)) + " " + "a" * 16 + "\n"
        )
        for unit in (
            "sk-" + ("a" * 19 + "-") * 11_000,
            "xoxb-" + "a-" * 100_000,
            "://a:",
            "eyJ" + "a" * 14 + ".",
            "-----BEGIN A ",
        )
    },
    # scripts
    **{
        f"{depth} finally in each other": script(
            "\n".join(f"{' ' * n}try:\n{' ' * n} pass\n{' ' * n}finally:" for n in range(depth))
            + f"\n{' ' * depth}result = 1"
        )
        for depth in (13, 14, 19)
    },
    "ways out through finally": script(
        "while a:\n try:\n  " + "\n  ".join(["if a:continue"] * 1_500) + "\n finally:\n  " + "f;" * 9_000
    ),
    "ways out through with": script(
        "while a:\n with " + ",".join("b" * 19) + ":\n  " + "\n  ".join(["if a:continue"] * 2_500)
    ),
    "a long sum of texts": script("result = " + "+".join(["'a'*4000"] * 900)),
    "many sums of texts": script("\n".join(["x=" + "+".join(["'a'*4000"] * 60)] * 80)),
    "a long sum of tuples": script("result = " + "+".join(["(1,)*250"] * 900)),
    "a case of many names": script(
        "match x:\n case {" + ",".join(f"{n}:a{n}" for n in range(4_000)) + "}: result=1"
    ),
    "many named arguments": script("result = f(" + ",".join(f"a{n}=1" for n in range(5_000)) + ")"),
    "many names above many functions": script(
        "def f():\n " + ";".join(f"a{n}=1" for n in range(2_500)) + "\n x=[" + "lambda:0," * 3_000 + "]\nresult=1"
    ),
    "combining marks in a name": script("result = a" + "\u0315\u0316" * 15_000),
    "statements": script("result = 1" + ";a" * 19_000),
    **{
        f"{count} undefined names": script("\n".join(f"u{n}" for n in range(count)) + "\nresult = 1")
        for count in (1_400, 8_000)
    },
    "decorators": script("@a\n" * 1_900 + "def result(): pass"),
    "functions": script("\n".join(f"def f{n}(): return x{n}" for n in range(700)) + "\nresult = 1"),
    **{
        f"{count} conditions": script("\n".join(f"if a == {n}:\n  result = {n}" for n in range(count)))
        for count in (500, 2_000)
    },
    "conditions in one": script(
        "if a:\n  result = 1\n" + "\n".join(f"elif a == {n}:\n  result = {n}" for n in range(450))
    ),
    "imports": script("\n".join(f"import a{n}" for n in range(1_900)) + "\nresult = 1"),
    **{
        f"an import of {count} parts": script("import " + ".".join(["a"] * count) + "; result = 1")
        for count in (2_900, 19_000)
    },
    "64 KiB of plain script": script("kept = data[data['amount'] > 0]\nresult = kept.groupby('a').sum()\n" * 870),
    "references in a script": script("\n".join(["x = '${env:A}' # ${env:B}"] * 500) + "\nresult = x"),
    "parentheses in a script": script("(" * 60_000),
    "99 parentheses in a script": script("result = " + "(" * 99 + "1" + ")" * 99),
    "signs in a script": script("result = " + "-" * 60_000 + "1"),
    "attributes in a script": script("result = data" + ".a" * 30_000),
    "sums in a script": script("result = 1" + "+1" * 30_000),
    "powers in a script": script("result = 9**9**9**9"),
    "shifts in a script": script("result = 1 << 100000"),
    "tuples in a script": script("result = (1,)*1000" + " + (1,)*1000" * 5_000),
    "lambdas in a script": script("result = " + "lambda:" * 8_000 + "1"),
    "digits in a script": script("result = " + "9" * 60_000),
    "comprehensions in a script": script("result = " + "[a for a in " * 90 + "data" + "]" * 90),
    "branches in a script": script(
        "\n".join(" " * n + "if data:" for n in range(99)) + "\n" + " " * 99 + "result = 1"
    ),
    "loops in a script": script(stairs("while data:", "result = 1")),
    "continued lines in a script": script("result = 1 + \\\n" * 4_000 + "1"),
    "a wide line in a script": script("result = 1; x = " + " " * 60_000 + "("),
    "letters of mathematics in a script": script("result = '" + "𝔘" * 16_000 + "'"),
    # queries
    **{
        f"open {unit!r} in a query": query("SELECT " + unit * 9_000)
        for unit in ("(", "[", "- ", "NOT ", "f(", "+")
    },
    **{
        f"{unit!r} in each other": query("FROM " + unit * 60)
        for unit in ("(PIVOT a ON ", "(WITH a AS (", "(WITH a AS (SELECT 1), b AS (")
    },
    "100 brackets in a query": query("SELECT " + "[" * 99 + "1 1" + "]" * 99),
    "CASEs in a query": query("SELECT " + "CASE WHEN 1 THEN " * 99 + "1" + " END" * 99),
    "DESCRIBEs in a query": query("WITH a AS (" + "DESCRIBE " * 9_000),
    "30,000 columns": query("SELECT a" + ",a" * 30_000 + " FROM data"),
    "4,900 columns": query("SELECT a" + ",a" * 4_900 + " FROM data"),
    "4,900 keys of an order": query("SELECT a FROM data ORDER BY a" + ",a" * 4_900),
    "3,000 tables": query("SELECT * FROM " + ",".join(f"t{n}" for n in range(3_000))),
    "2,400 unions": query("SELECT 1" + " UNION SELECT 1" * 2_400),
    "a pivot": query("PIVOT data ON a USING " + ",".join(f"sum(a{n})" for n in range(1_900))),
    "a pivot of a long name": query("PIVOT data ON " + "a" * 60_000),
    "a pivot of texts": query("PIVOT data ON a USING " + ",".join(["sum('a')"] * 1_900)),
    "a pivot of queries": query("PIVOT (SELECT 1" + " UNION SELECT * FROM data" * 1_900 + ") ON a USING sum(b)"),
    "references within texts of a query": query("SELECT " + ",".join(["'é${run:attempt}'"] * 3_000)),
    "90 parentheses in a query": query("SELECT " + "(" * 90 + "1" + ")" * 90),
    "semicolons in a query": query("SELECT 1" + ";" * 60_000),
    "comments in a query": query("SELECT 1 " + "/*" * 30_000),
    "a quote in a query": query("SELECT '" + "a" * 60_000),
    "digits in a query": query("SELECT " + "9" * 60_000),
    "casts in a query": query("SELECT 1" + "::INT" * 10_000),
    "lists in a query": query("SELECT " + "[" * 500 + "]" * 500),
    **{
        f"{unit!r} in the query of a database": database("SELECT " + unit * 65_536)
        for unit in ("/*", "'", '"', "E'", "$a$", "$", "--", ";", "[", "`", "#", "a;", "'a", "${run:attempt}")
    },
    **{
        f"{unit!r} and a backslash in the query of a database": database(f"SELECT {unit[-1]}{unit * 32_000}\\")
        for unit in ("\\'", '\\"', "E'\\'")
    },
    "blanks before the query of a database": database(" (\n" * 21_000 + "SELECT 1"),
    "semicolons and blanks in the query of a database": database("SELECT 1" + "; " * 32_000),
    "a late fault in a query": query("-- x\n" * 12_000 + "SELEC"),
}


@pytest.fixture(scope="module")
def context():
    return CheckContext(files=WorkingFiles(ACCEPTANCE), defaults=JobDefaults(), now=NOW)


@pytest.fixture(scope="module")
def look(context, tmp_path_factory):
    """`look(content)` → the findings in a file of that content, which must be told as they should be."""
    path = tmp_path_factory.mktemp("hostile") / "job.yaml"

    def call(content):
        path.write_bytes(content)
        cost, findings = best_cost(path, context)
        assert cost < MOST
        lines = content.decode("utf-8", "replace").split("\n")
        for found in findings:
            check_finding(found, lines)
        return findings

    # What is imported at the first use is nothing that a file can do anything about.
    for name in ("many_findings", "query_syntax", "cron_never", "records_path", "timezone_city"):
        findings_of(read_job_file(ACCEPTANCE / "bad" / f"{name}.yaml", "jobs.d/job.yaml"), context)
    return call


def findings_of(job_file, context):
    if isinstance(job_file, JobFile):
        return inspect_file(job_file, context).verdict.diagnostics
    return (job_file.finding,)


def best_cost(path, context):
    """What one file costs, in the time that so many additions take: the best of several looks if that is too much, and
    its findings."""
    cost, findings = look_once(path, context)
    if cost >= MOST:
        cost = min(look_once(path, context)[0] for _ in range(LOOKS))
    return cost, findings


def look_once(path, context):
    began = time.process_time()
    sum(number for number in range(ADDITIONS))
    unit = time.process_time() - began
    began = time.process_time()
    findings = findings_of(read_job_file(path, "jobs.d/job.yaml"), context)
    return (time.process_time() - began) / unit, findings


def check_finding(found, lines):
    assert found.rule != "internal-error", found.message
    assert len(found.message) <= MESSAGE_LIMIT
    assert found.message.isprintable() or "\n" not in found.message
    if found.path == "jobs.d/job.yaml":
        assert 1 <= found.line <= found.end_line <= len(lines) + 1
        assert 1 <= found.column <= len(lines[min(found.line, len(lines)) - 1]) + 2
        assert (found.line, found.column) < (found.end_line, found.end_column)


def hostile(strategy, examples):
    """Each example is a file of its own; nothing of it is remembered by the next."""
    quick = settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    return lambda function: quick(given(content=strategy)(function))


WORDS = st.sampled_from(
    [
        "job_name",
        "schedule_time",
        "data_source",
        "source_type",
        "file",
        "location",
        "consumer_emails",
        "tests",
        "given",
        "expect",
        "rows",
        "tags",
        "null",
        "true",
        "no",
        "1:30",
        "0777",
        "1e3",
        ".nan",
        "~",
        "=",
        "<<",
        "2025-11-09",
        "${env:A}",
        "${run:x}",
        "${",
        "-",
        "?",
        ":",
        ",",
        "[",
        "]",
        "{",
        "}",
        "|",
        ">",
        "&",
        "*",
        "!",
        "%",
        "@",
        "`",
        "#",
        "'",
        '"',
        "\\",
        "|2-",
        ">+",
        "&a",
        "*a",
        "!!str",
        "---",
        "...",
        "%YAML",
        "0x1F",
        "analyst@example.com",
        "@daily",
        "é",
        "𝔘",
        "́",
        "\u202e",
        "\ufeff",
        "\u2028",
        "\x00",
        "\x85",
    ]
)
SPACE = st.sampled_from(["", " ", "  ", "\n", "\n  ", "\n- ", ": ", "\t", "\r\n", "\n\n", ", "])
YAMLISH = st.lists(st.tuples(WORDS, SPACE), max_size=60).map(
    lambda parts: "".join(a + b for a, b in parts).encode()
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12) | WORDS, inner, max_size=5),
    max_leaves=30,
)
KEYS = tuple(
    json.loads((Path(__file__).parents[2] / "schemas" / "job.schema.json").read_text("utf-8"))["properties"]
)
JOBISH = st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=len(KEYS)).map(
    lambda data: json.dumps(data).encode()
)
GOOD = tuple(
    path.read_bytes() for path in sorted((ACCEPTANCE / "good").glob("*.yaml")) if path.stat().st_size < 4096
)


@st.composite
def mutated(draw):
    """A good file with a few bytes taken out, put in, or moved."""
    content = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        end = min(start + draw(st.integers(0, 20)), len(content))
        piece = draw(st.binary(max_size=4) | WORDS.map(str.encode) | st.just(bytes(content[start:end]) * 3))
        content[start:end] = piece
    return bytes(content)


@pytest.mark.long
@hostile(st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")), 120)
def test_any_text(look, content):
    look(content)


@pytest.mark.long
@hostile(st.binary(max_size=200), 80)
def test_any_bytes(look, content):
    look(content)


@pytest.mark.long
@hostile(YAMLISH, 250)
def test_what_looks_like_yaml(look, content):
    look(content)


@pytest.mark.long
@hostile(JOBISH, 150)
def test_what_looks_like_a_job(look, content):
    look(content)


@pytest.mark.long
@hostile(mutated(), 300)
def test_a_good_file_with_faults(look, content):
    look(content)


@pytest.mark.long
def test_the_worst_files_take_no_time_and_no_memory(tmp_path):
    for number, text in enumerate(WORST.values()):
        (tmp_path / f"{number}.yaml").write_bytes(text.encode("utf-8"))
        assert len(text.encode("utf-8")) <= LARGEST
    measured = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(len(WORST))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert measured.returncode == 0, measured.stderr[-2000:]
    report = json.loads(measured.stdout)
    dearest = sorted(zip(report["costs"], WORST, strict=True), reverse=True)
    print("\n".join(f"{cost:5.1f} units  {name}" for cost, name in dearest[:10]))
    print(f"{report['memory_mb']:7.1f} MiB above what the checker takes without any file")
    assert not report["faults"]
    assert [(name, cost) for cost, name in dearest if cost >= MOST] == []
    assert report["memory_mb"] < MEMORY_MB


def measure(folder, count):
    """In a process of its own, for the memory: the cost of each file, and the most memory of all of them."""
    import resource

    context = CheckContext(files=WorkingFiles(ACCEPTANCE), defaults=JobDefaults(), now=NOW)
    for path in sorted((ACCEPTANCE / "bad").glob("*.yaml")):
        findings_of(read_job_file(path, path.name), context)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    costs, faults = [], []
    for number in range(count):
        path = folder / f"{number}.yaml"
        cost, findings = best_cost(path, context)
        costs.append(cost)
        faults += [found.message for found in findings if found.rule == "internal-error"]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"costs": costs, "memory_mb": (after - before) / 1024, "faults": faults}))


if __name__ == "__main__":
    measure(Path(sys.argv[1]), int(sys.argv[2]))
