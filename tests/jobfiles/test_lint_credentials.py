import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.formats import Findings, render
from runner.jobfiles.lint.credential_shapes import find_credentials, named_credential

# Put together here, so that no tool that looks for keys takes this file for a leak.
KEYS = {
    "an AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "a GitHub token": "ghp_" + "a1B2" * 9,
    "a GitLab token": "glpat-" + "a_b-C" * 4,
    "a Slack token": "xoxb-" + "123456789012-" * 2 + "a1" * 12,
    "a Slack webhook": "hooks.slack.com/" + "services/" + "T00000000/B00000000/" + "x" * 24,
    "a Stripe key": "sk_live_" + "a1" * 12,
    "a Google API key": "AIza" + "a-B_c" * 7,
    "a SendGrid key": "SG." + "a1" * 11 + "." + "b_-" * 14 + "b",
    "an npm token": "npm_" + "a1B2" * 9,
    "a Databricks token": "dapi" + "a1" * 16,
    "an OpenAI or Anthropic key": "sk-" + "proj-" + "aB1" * 16,
    "a JSON Web Token": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3" + "." + "a_b-" * 8,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "the password of an address": "postgres://report:" + "hunter2" + "@db.example.com/sales",
}


@pytest.mark.parametrize(("kind", "key"), KEYS.items())
def test_a_key_of_a_known_shape_is_found_where_it_stands(kind, key):
    text = f"x: '{key}'  # and more\n"
    (found,) = find_credentials(text)
    assert found.kind == kind
    assert text[found.start : found.end] == ("hunter2" if "address" in kind else key)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:${env:PASSWORD}@example.com", "https://${env:USER}:${file:/run/p}@example.com", "https://example.com:8080/a@b",
        "f'postgres://{user}:{password}@host'", "re.match(r'://[^:]+:[^@]+@', x)", "https://user:***@host", "'https://%s:%s@host'",
        "mailto:analyst@example.com", "d41d8cd98f00b204e9800998ecf8427e", "550e8400-e29b-41d4-a716-446655440000", "a" * 64,
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "risk-abcdefghijklmnopqrstuvwxyz", "task-sk-learn",
        "-----BEGIN CERTIFICATE-----", "eyJ", "AIza", "SG.1", "myAKIAIOSFODNN7EXAMPLE", "sk-learn-and-other-names-of-projects",
    ],
)  # fmt: skip
def test_what_is_no_credential(text):
    assert find_credentials(text) == ()


@pytest.mark.parametrize(
    "name",
    [
        "X-Api-Key",
        "apikey",
        "api_key",
        "accessToken",
        "X-Auth-Token",
        "token",
        "client_secret",
        "Password",
        "sslpassword",
        "sig",
        "X-Amz-Signature",
    ],
)
def test_names_of_credentials(name):
    assert named_credential(name, "changeme")
    assert named_credential(name, "${env:KEY}") is None


@pytest.mark.parametrize(
    "name",
    [
        "Accept",
        "nextPageToken",
        "page_token",
        "token_type",
        "max_tokens",
        "primary_key",
        "sort_key",
        "X-CSRF-Token",
        "secretary",
        "key",
    ],
)
def test_names_of_other_things(name):
    assert named_credential(name, "changeme") is None


def test_the_scheme_of_a_header_is_no_part_of_the_secret():
    assert named_credential("Authorization", "Bearer abc")[1:] == (7, 10)
    assert named_credential("authorization", "abc")[1:] == (0, 3)
    assert named_credential("Authorization", "Bearer ${env:T}") is None


@pytest.mark.parametrize(
    "part", ["-eyJ", "eyJ", "xoxb-a-", "://a:", "SG.", "AKIA", "sk-a_", "-----BEGIN A ", "AIza"]
)
def test_a_long_text_is_read_once(cpu_seconds, part):
    assert cpu_seconds(find_credentials, part * (250_000 // len(part)))[1] < 1


@given(st.text(max_size=60))
def test_any_text_gives_places_in_it(text):
    assert all(0 <= found.start < found.end <= len(text) for found in find_credentials(text))


API = """\
job_name: daily_sales
schedule_time: "0 9 * * 1-5"
data_source:
  source_type: api
  location: {location}
  headers: {{Authorization: "{header}", Accept: text/csv}}
  params: {{api_key: "{param}", page_token: abc}}
  auth: {{type: bearer, token: "{token}"}}
consumer_emails: [analyst@example.com]
"""
SECRETS = {
    "location": "https://example.com/x?a=1&token=swordfish1",
    "header": "Bearer swordfish2",
    "param": "swordfish3",
    "token": "swordfish4",
}
REFERENCES = {
    "location": "https://${env:U}:${env:P}@example.com/x?token=${env:T}",
    "header": "Bearer ${env:T}",
    "param": "${file:/run/key}",
    "token": "${env:T}",
}


def test_credentials_in_a_source_are_errors_that_do_not_show_them(check):
    text = API.format(**SECRETS)
    checked = check(text=text)
    lines = text.split("\n")
    assert [
        (one.rule, lines[one.line - 1][one.column - 1 : one.end_column - 1]) for one in checked.diagnostics
    ] == [("literal-credential", f"swordfish{number}") for number in (1, 2, 3, 4)]
    assert not any("swordfish" in one.message + one.hint for one in checked.diagnostics)
    variables = [one.hint.partition("${env:")[2].partition("}")[0] for one in checked.diagnostics]
    assert variables == ["DAILY_SALES_TOKEN", "DAILY_SALES_TOKEN", "DAILY_SALES_API_KEY", "DAILY_SALES_TOKEN"]
    assert checked.job is None


def test_references_are_what_is_asked_for(check):
    assert check(text=API.format(**REFERENCES)).diagnostics == ()


def test_a_key_is_told_once_and_anywhere(check, write):
    key = KEYS["a GitHub token"]
    checked = check(
        text=API.format(**{**REFERENCES, "header": f"Bearer {key}"}) + f"# {key}\ndescription: uses {key}\n"
    )
    assert [one.line for one in checked.diagnostics] == [6, 10, 11]
    step = check(f"processing_script: |\n  key = '{key}'\n  result = data\n").diagnostics
    assert [(one.line, "never given secrets" in one.hint) for one in step] == [(10, True)]
    write("steps/a.py", f"result = data\nx = '{key}'\n")
    (in_file,) = check("processing_script_file: steps/a.py\n").diagnostics
    assert (in_file.path, in_file.line, in_file.column) == ("steps/a.py", 2, 6)


def test_other_findings_do_not_show_the_credential_either(check, minimal):
    location = "ftp://report:" + "hunter2-secret" + "@example.com"
    checked = check(text=minimal.replace("sales.csv", location).replace("type: file", "type: api"))
    assert {"bad-location", "literal-credential"} <= {one.rule for one in checked.diagnostics}
    assert not any("hunter2-secret" in one.message + one.hint for one in checked.diagnostics)


@pytest.mark.parametrize(
    "line",
    [
        "  auth: Bearer swordfish123",
        "  auth: [report, swordfish123]",
        "  auth: {type: header, name: X-Key, value: swordfish123}",
        "  auth: {type: basic, username: report, password: [swordfish123]}",
        "  headers: 'Authorization: Bearer swordfish123'",
        "  headers: ['X-Api-Key: swordfish123']",
        "  params: api_key=swordfish123",
        "  body: client_secret=swordfish123",
        "  api_key: swordfish123",
        "password: swordfish123",
        "  auth: {swordfish123}",
        "  auth:\n    swordfish-of-more-than-the-forty-letters-that-a-message-has:",
        "  headers: {'Bearer swordfish123': }",
        "  headers: {'Bearer swordfish123': text/csv}",
        "  headers: {swordfish123: }",
    ],
)
def test_no_line_is_shown_with_a_credential_that_stands_where_it_cannot(check, minimal, line):
    text = minimal.replace("  file_type: csv", line).replace("type: file", "type: api")
    text = text.replace("sales.csv", "https://api.example.com/sales")
    checked = check(text=text)
    assert "literal-credential" in {one.rule for one in checked.diagnostics}
    findings = Findings(files=("a",), diagnostics=checked.diagnostics, texts={checked.path: text}, seconds=0)
    assert "swordfish" not in render(findings, "text")


def test_of_many_twenty_are_told_and_one_goes_over_the_rest(check):
    keys = [f"ghp_{number:036d}" for number in range(30)]
    text = API.format(**REFERENCES) + "description: |\n" + "".join(f"  {key}\n" for key in keys)
    found = check(text=text).diagnostics
    first = text.split("\n").index(f"  {keys[0]}") + 1
    assert [(one.line, one.end_line) for one in found[:20]] == [(first + n, first + n) for n in range(20)]
    assert [(one.line, one.end_line, "more below" in one.message) for one in found[20:]] == [
        (first + 20, first + 29, True)
    ]


def test_a_file_full_of_them_is_told_nothing_that_could_show_one(check):
    keys = "".join(f"  a{number}: {'AKIA'}{number:016d}\n" for number in range(400))
    found = check(text=API.format(**REFERENCES) + f"timezone: {'AKIA'}{399:016d}\ntags:\n{keys}").diagnostics
    assert {one.rule for one in found} == {"literal-credential"}
    assert not any("AKIA0" in one.message + one.hint for one in found)
    assert found[-1].end_line >= 400


@pytest.mark.parametrize(
    "value", ["Bearer a" + " " * 20_000 + "b", " " * 20_000, "Bearer" + " " * 20_000, "a " * 20_000]
)
def test_a_long_value_is_read_once(cpu_seconds, value):
    found, seconds = cpu_seconds(named_credential, "authorization", value)
    assert seconds < 0.2
    assert found is None or value[found.start : found.end].strip()


@pytest.mark.parametrize(
    "line",
    [
        "  auth: {type: bearer, token:swordfish123}",
        "  headers: {X-Api-Key:swordfish123}",
        "  location: https://api.example.com/a?api_key=swordfish123&a: b",
        "  location: https://api.example.com/a?sslpassword=swordfish123&a: b",
    ],
)
def test_a_missing_blank_or_quote_shows_no_credential(check, minimal, line):
    text = minimal.replace("  file_type: csv", line)
    checked = check(text=text)
    findings = Findings(files=("a",), diagnostics=checked.diagnostics, texts={checked.path: text}, seconds=0)
    assert findings.failed
    assert "swordfish" not in render(findings, "text")


@pytest.mark.parametrize(
    "line",
    [
        "  auth: {bearer}",
        "  auth: {type: , token: }",
        "  auth: {'${env:TOKEN}': }",
        "  auth: {api_key: }",
        "  auth: {OAuth2: }",
        "  headers: {X-Api-Key2: }",
        "  headers: {'${env:TOKEN2}': }",
    ],
)
def test_a_key_without_its_value_that_is_known_is_no_credential(check, minimal, line):
    text = minimal.replace("  file_type: csv", line).replace("type: file", "type: api")
    found = check(text=text.replace("sales.csv", "https://api.example.com/sales")).diagnostics
    assert found
    assert "literal-credential" not in {one.rule for one in found}


@pytest.mark.parametrize("user", ["report", "${env:USER}", "report@server"])
@pytest.mark.parametrize(
    ("password", "found"),
    [
        ("swordfish", True),
        ("sword fish", True),
        ("sword/fish?", True),
        ("${env:P}", False),
        ("${env:P} ${env:Q}", False),
        (" ", False),
    ],
)
def test_the_password_of_a_database_may_have_what_an_address_may_not(check, minimal, user, password, found):
    text = minimal.replace("sales.csv", f'"postgresql://{user}:{password}@db.example.com/sales"')
    text = text.replace("type: file", "type: database").replace("file_type: csv", "query: SELECT 1 AS a")
    told = [one for one in check(text=text).diagnostics if one.rule == "literal-credential"]
    assert [one.message for one in told] == found * ["the password of an address stands here in plain text"]
    for one in told:
        assert text.split("\n")[one.line - 1][one.column - 1 : one.end_column - 1] == password


@pytest.mark.parametrize(
    "place",
    [
        "db.example.com:5432/sales?a=b@c",
        "db.example.com:5432?a=b@c",
        "db.example.com:5432,db2.example.com:5432/sales?a=b@c",
        "report@db.example.com:5432/sales?a=b@c",
        "[::1]:5432/sales?a=b@c",
        "${env:HOST}:${env:PORT}/sales?a=b@c",
    ],
)
def test_the_port_of_a_database_is_no_password(check, minimal, place):
    text = minimal.replace("sales.csv", f'"postgresql://{place}"')
    text = text.replace("type: file", "type: database").replace("file_type: csv", "query: SELECT 1 AS a")
    assert "literal-credential" not in {one.rule for one in check(text=text).diagnostics}
