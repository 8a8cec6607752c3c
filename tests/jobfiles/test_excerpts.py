"""What is shown of the lines of job files: nothing that may be a credential, whatever is wrong with the file."""

import pytest

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.formats import Findings
from runner.jobfiles.formats.excerpts import excerpts

SOURCE = "data_source:\n  location: https://api.example.com/a\n"


def shown(text, path="a.yaml"):
    """The last line of a file that a finding points at, as it is shown."""
    lines = text.split("\n")
    found = Diagnostic(path=path, line=len(lines), rule="x", message="m")
    (excerpt,) = excerpts(Findings(files=(path,), diagnostics=(found,), texts={path: text}, seconds=0)).values()
    assert len(excerpt[-1]) == len(lines[-1])
    return excerpt[-1]


@pytest.mark.parametrize(
    "text",
    [
        SOURCE + '  headers:\n    X-Api-Key: "PLANTED\\q"',
        SOURCE + "  headers: {X-Anything: [PLANTED]}",
        SOURCE + "  headers:\n    Cookie: s=PLANTED",
        SOURCE + "  headers:\n    Authorization:\n      Bearer: PLANTED",
        SOURCE + "  auth: {type: bearer, token:PLANTED}",
        SOURCE + "  auth:\n    type: bearer\n    token:PLANTED",
        SOURCE + "  auth:\n    token: PLANTED: x",
        SOURCE + "  auth:\n    type: bearer PLANTED",
        SOURCE + "  auth:\n    - PLANTED",
        SOURCE + "  auth: {type: header, header: 'X-Key: PLANTED'}",
        SOURCE + "  auth: {type: bearer, token: '${env:A:-PLANTED}'}",
        SOURCE + "  params:\n    api_key: |\n    PLANTED",
        SOURCE + "  params:\n    api_key: |\n      PLANTED",
        SOURCE + "  params:\n    api_key:\n    - a\n    - PLANTED",
        SOURCE + "  headers:\n  - X-Any: a\n  - X-Other: PLANTED",
        SOURCE + "  body: {client_secret: PLANTED, a: [",
        "data_source:\n  location: 'https://u:PLANTED@api.example.com/a\\q'",
        "data_source:\n  location: 'https://u:PLANTED and more@api.example.com/a'",
        "data_source:\n  location: postgres://u:<PLANTED>@h/d",
        "data_source: {location: u:PLANTED@api.example.com/a, headers: {}}",
        "data_source:\n  location: https:/u:PLANTED@api.example.com/a",
        "data_source:\n  location: postgres//u:PLANTED@h/d",
        "data_source:\n  location: {url: 'https://api.example.com/a?api_key=PLANTED'}",
        "data_source:\n  location: postgresql://h/d?sslpassword=PLANTED&a: b",
        "data_source:\n  location: https://a.blob.core.windows.net/b?sv=1&sig=PLANTED",
        "data_source:\n  location: https://b.s3.amazonaws.com/k?X-Amz-Signature=PLANTED",
        "api_key: PLANTED",
        "- api-token = PLANTED",
        "api_key: " + "x" * 5000 + "PLANTED",
    ],
)
def test_what_may_be_a_credential_is_hidden(text):
    assert "PLANTED" not in shown(text)
    assert "*******" in shown(text)


@pytest.mark.parametrize(
    "line",
    [
        "  file_typ: csv",
        "  location: https://api.example.com/a?page=2&to=a",
        "  location: https:/u:${env:PASSWORD}@api.example.com/a",
        "  location: https://api.example.com:8080/a # of a@example.com",
        "  auth: {type: bearr, token: '${env:TOKEN}'}",
        "  auth: {type: header, header: X-Api-Key, token: Bearer ${file:/run/secrets/a}}",
        "  auth: {type: basic, username: report, password: '${env:A}'}",
        "  headers: {Accept: text/csv, Authorization: 'Bearer ${env:TOKEN}'}",
        "  headers:",
        "  params: {page: 1, per_page: 100}",
        "  token: ${env:TOKEN}",
    ],
)
def test_what_says_nothing_secret_is_shown(line):
    assert shown(SOURCE + line) == line


@pytest.mark.parametrize("key", ["processing_script", "processing_query"])
def test_a_step_is_shown(key):
    assert shown(f"{key}: |\n  a = 1\n  token = data['token']") == "  token = data['token']"
    assert shown("password = read()", path="steps/a.py") == "password = read()"


@pytest.mark.parametrize(
    "text",
    [
        SOURCE + "  body:\n    items:\n      - id: 1\n        token: x\n      - id: 2",
        SOURCE + "  body:\n    items:\n    - key: x\n    - page: 1",
        SOURCE + "  body:\n    items:\n    - - key: x\n    - - page: 1",
    ],
)
def test_an_item_of_a_list_does_not_stand_below_the_one_before(text):
    assert shown(text) == text.rpartition("\n")[2]


def test_what_follows_a_source_is_shown():
    assert shown(SOURCE + "  auth:\n    token: x\nowner: a@example.com") == "owner: a@example.com"
