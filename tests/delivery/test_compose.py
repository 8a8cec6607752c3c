import email
import email.policy
import email.utils
import gzip
import io
import os
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest

from runner.core.delivery import MailKind
from runner.core.job import AttachmentFormat, Chart, ChartKind, DeliveryOptions, NotifyFailures, OnAmbiguous, Retry
from runner.core.preview import Preview
from runner.core.run import Attempt, FailureKind, RunFailure, RunState
from runner.delivery import attachment
from runner.delivery.attachment import attach
from runner.delivery.compose import compose, compose_recovery
from runner.delivery.message import _POLICY
from runner.delivery.words import width

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
FROM = {"sender": "Reports <runner@example.com>", "message_domain": "example.com"}
THREAD = "<daily_sales.job@example.com>"


def composed(report, *, kept_at=None, **options):
    attached = attach(report, kept_at=kept_at) if report.run.state is RunState.SUCCEEDED else None
    return compose(report, attached=attached, **{**FROM, **options})


def parsed(mail):
    return email.message_from_bytes(mail.message, policy=email.policy.default)


def text_of(mail):
    return parsed(mail).get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(mail):
    return parsed(mail).get_body(("html",)).get_content().replace("\r\n", "\n")


def test_headers_and_parts_of_results(make_report):
    mail = composed(make_report())
    message = parsed(mail)
    assert dict(message.items()) == {
        "From": "Reports <runner@example.com>",
        "To": "anna@example.com, bert@example.org",
        "Subject": "Job Results: daily_sales - 2025-11-09 14:00:00",
        "Date": "Sun, 09 Nov 2025 13:00:32 +0000",
        "Message-ID": "<01k9mabcdefghjkmnpqrstvwxy.results@example.com>",
        "In-Reply-To": THREAD,
        "References": THREAD,
        "Auto-Submitted": "auto-generated",
        "X-Runner-Job": "daily_sales",
        "X-Runner-Run-Id": "01k9mabcdefghjkmnpqrstvwxy",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/csv",
    ]
    assert mail.message_id == message["Message-ID"]
    assert (mail.sender, mail.recipients) == ("runner@example.com", ("anna@example.com", "bert@example.org"))
    assert mail.subject == message["Subject"]


def test_the_attachment_is_the_result_byte_for_byte(make_report):
    result = "Süd,1\r\n東京,2\n\x00\xff".encode("latin-1", "replace") + bytes(range(256))
    [file] = parsed(composed(make_report(result=result))).iter_attachments()
    assert file.get_filename() == "daily_sales_2025-11-09.csv"
    assert file.get_content_charset() == "utf-8"
    assert file.get_payload(decode=True) == result


def test_the_same_report_makes_the_same_mail(make_report):
    assert composed(make_report()) == composed(make_report())


def test_lines_are_seven_bit_and_short_enough_for_every_server(make_report):
    mail = composed(make_report(run={"output": "ü" * 5000}, job={"description": "ü" * 3000}))
    assert mail.message.isascii()
    assert max(len(line) for line in mail.message.split(b"\r\n")) <= 998
    assert b"\n" not in mail.message.replace(b"\r\n", b"")


def test_results_in_text(make_report):
    text = text_of(composed(make_report()))
    assert "The result of 2025-11-09 14:00 CET (+01:00) has 18,204 rows.\n" in text
    assert "Attached: daily_sales_2025-11-09.csv, 8 bytes." in text
    assert "region  revenue\n------  -------\nSüd      1234.5\nNord          7\n" in text
    assert "2 of 18,204 rows, and 3 more columns in the file" in text
    assert re.search(r"^Duration +32\.4 s$", text, re.MULTILINE)
    assert re.search(r"^Revision +1a2b3c4d5e6f$", text, re.MULTILINE)


def test_results_in_html(make_report):
    html = html_of(composed(make_report()))
    assert "2 of 18,204 rows, and 3 more columns in the file" in html
    assert re.search(r'<td style="[^"]*text-align:right[^"]*">1234.5</td>', html)
    assert re.search(r'<td style="[^"]*text-align:left[^"]*">Süd</td>', html)


def test_long_names_of_columns_break_as_long_cells_do(make_report):
    long = "Revenue of the quarter in euros, without tax"
    preview = Preview(
        columns=("region", long), numeric=(False, True), rows=(("w" * 33, "7"),), total_rows=1, total_columns=2
    )
    html = html_of(composed(make_report(preview=preview)))
    styles = {text: style for style, text in re.findall(r'<t[hd][^>]* style="([^"]*)">([^<]*)</t[hd]>', html)}
    assert {text: "white-space:nowrap" in styles[text] for text in ("region", long, "w" * 33, "7")} == {
        "region": True,
        long: False,
        "w" * 33: False,
        "7": True,
    }


def test_texts_that_run_from_the_right_do_so_in_a_table(make_report):
    column, cell, about = "الاسم (name).", "שלום עולם!", "مبيعات (2025)."
    preview = Preview(columns=(column,), numeric=(False,), rows=((cell,),), total_rows=1, total_columns=1)
    html = html_of(composed(make_report(preview=preview, job={"description": about})))
    styles = {text: style for style, text in re.findall(r'<t[hd][^>]* style="([^"]*)">([^<]*)</t[hd]>', html)}
    assert all("unicode-bidi:plaintext" in styles[text] for text in (column, cell, about))


def test_a_wide_table_is_cut_to_what_fits_and_says_so(make_report):
    preview = Preview(
        columns=tuple(f"column_{number}" for number in range(12)),
        numeric=(False,) * 12,
        rows=(("x" * 200,) * 12,) * 3,
        total_rows=3,
        total_columns=12,
    )
    text = text_of(composed(make_report(preview=preview)))
    assert max(width(line) for line in text.splitlines()) <= 100
    assert "All 3 rows, and 9 more columns in the file" in text


def test_a_preview_of_any_shape_makes_a_mail(make_report):
    preview = Preview(
        columns=tuple("abcdefghijklmnop"), numeric=(True,), rows=((), ("1", "2\n3"), ("x",) * 99, ("y" * 10_000,))
    )
    mail = composed(make_report(preview=preview))
    assert "4 rows, and 4 more columns in the file" in html_of(mail)
    assert "2 3" in html_of(mail)
    assert len(mail.message) < 50_000
    assert composed(make_report(preview=Preview(rows=(("1",),), total_rows=1))).message


def test_no_rows_are_said_in_words(make_report):
    report = make_report(run={"rows_out": 0}, preview=Preview(columns=("a",), numeric=(False,), total_columns=1))
    text = text_of(composed(report))
    assert "has no rows." in text
    assert "its result is an empty table" in text


def test_a_failure_in_text_and_html(make_report):
    mail = composed(make_report(failed=True, run={"output": "".join(f"line {n}\n" for n in range(100))}))
    text, html = text_of(mail), html_of(mail)
    assert mail.subject == "Job Failed: daily_sales - 2025-11-09 14:00:00"
    assert mail.message_id == "<01k9mabcdefghjkmnpqrstvwxy.failure@example.com>"
    assert "failed after 32.4 s: the script raised KeyError: 'amuont'." in " ".join(text.split())
    for part in (text, html.replace("&#39;", "'").replace("&#34;", '"')):
        assert "Did you mean 'amount'?" in part
        assert 'File "jobs.d/daily_sales.yaml", line 12' in part
        assert "60 earlier lines left out" in part
        assert "line 60\n" in part
        assert "line 59\n" not in part
    assert list(parsed(mail).iter_attachments()) == []


def test_a_very_long_error_leaves_the_mail_readable(make_report):
    failure = RunFailure(kind=FailureKind.SCRIPT, message=f"ValueError: {'x ' * 1000}(jobs.d/a.yaml, line 8)")
    lead = " ".join(text_of(composed(make_report(failed=True, run={"failure": failure}))).split("\n\n")[0].split())
    assert "failed after 32.4 s: ValueError: x x" in lead
    assert lead.endswith("x x (jobs.d/a.yaml, line 8).")
    assert len(lead) < 1200


@pytest.mark.parametrize(
    ("state", "words"), [(RunState.TIMED_OUT, "timed out after"), (RunState.LOST, "was lost")]
)
def test_other_ends_are_told_as_they_are(make_report, state, words):
    assert words in text_of(composed(make_report(failed=True, run={"state": state})))


def test_a_lost_run_has_neither_duration_nor_reason(make_report):
    run = {"state": RunState.LOST, "failure": None, "started_at": None, "finished_at": None}
    assert "was lost: no reason was recorded." in text_of(composed(make_report(failed=True, run=run)))


def test_a_failure_goes_to_whom_the_job_names(make_report):
    job = {"owner": "owner@example.com", "delivery": DeliveryOptions(notify_failures=NotifyFailures.OWNER)}
    assert composed(make_report(failed=True, job=job)).recipients == ("owner@example.com",)
    assert "owner@example.com" not in composed(make_report(job=job)).recipients


def test_texts_of_strangers_cannot_become_html(make_report):
    evil = '<script>alert("x")</script><img src=http://evil.example/x>'
    preview = Preview(columns=(evil,), numeric=(False,), rows=((evil,),), total_rows=1, total_columns=1)
    for report in (
        make_report(job={"description": evil}, preview=preview),
        make_report(failed=True, run={"output": evil, "note": evil}, job={"description": evil}),
    ):
        tags = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs, tags=tags: tags.append((tag, dict(attrs)))
        parser.feed(html_of(composed(report)))
        assert not {"script", "img", "link", "iframe", "style"} & {tag for tag, _ in tags}
        assert not {"src", "href", "background"} & {name for _, attrs in tags for name in attrs}


def test_headers_cannot_be_injected(make_report):
    evil = "x\r\nBcc: all@example.com\n\ndone"
    report = make_report(job={"job_name": evil}, run={"run_id": evil})
    message = parsed(
        composed(report, sender=f"{evil} <runner@example.com>", message_domain=f"example.com\r\n{evil}")
    )
    assert "Bcc" not in message
    assert set(message.keys()) >= {"From", "To", "Subject", "Message-ID"}
    assert "\n" not in next(iter(message.iter_attachments())).get_filename()


def test_terminal_codes_and_broken_characters_are_shown_as_escapes(make_report):
    text = text_of(composed(make_report(failed=True, run={"output": "red \x1b[31m \udc80\x00 end"})))
    assert "red \\x1b[31m \\udc80\\x00 end" in text


@pytest.mark.parametrize("length", [20, 24, 40, 64, 66, 70, 72, 76, 78, 90, 180])
def test_what_is_too_long_for_a_line_stays_what_it_is(make_report, length):
    domain = ".".join(["d" * 8] * (length // 9)) + "d" * (length % 9) + ".example.com"
    people = (f"{'a' * 64}@{domain}", "bert@example.org", f"c@{domain}", f"jörg@{domain}")
    report = make_report(
        job={"job_name": "j" * 63, "consumer_emails": people, "chart": Chart(kind=ChartKind.BAR, x="a", y=("b",))},
        run={"job_name": "j" * 63, "chart_file": "chart.png"},
        chart=b"\x89PNG\r\n\x1a\n",
    )
    mail = composed(report, message_domain=domain)
    thread = f"<{'j' * 63}.job@{domain}>"
    # What a mail program sees that decodes nothing: no encoded word may stand there (RFC 2047, section 5).
    seen = email.message_from_bytes(mail.message, policy=email.policy.compat32)
    assert [seen["Message-ID"].strip(), seen["In-Reply-To"].strip(), seen["References"].strip()] == [
        mail.message_id,
        thread,
        thread,
    ]
    shown = re.search(r'src="cid:([^"]+)"', html_of(mail))[1]
    assert [part["Content-ID"].strip() for part in seen.walk() if "Content-ID" in part] == [f"<{shown}>"]
    assert [address for _, address in email.utils.getaddresses([seen["To"]]) if address] == list(people[:3])
    assert [part.get_filename() for part in seen.walk() if part.get_content_type() == "text/csv"] == [
        f"{'j' * 63}_2025-11-09.csv"
    ]
    assert max(map(len, mail.message.split(b"\r\n"))) <= 998


def test_addresses_outside_ascii(make_report):
    job = {"consumer_emails": ("jürgen@example.com", "anna@müller.example", "bert@example.org")}
    mail = composed(make_report(job=job), sender="Jürgens Berichte <runner@example.com>")
    message = parsed(mail)
    assert mail.recipients == job["consumer_emails"]
    assert [address.addr_spec for address in message["To"].addresses] == [
        "anna@xn--mller-kva.example",
        "bert@example.org",
    ]
    assert message["To"].groups[0].display_name == "jürgen@example.com"
    assert message["From"].addresses[0].display_name == "Jürgens Berichte"


def test_several_addresses_without_an_ascii_form_swallow_no_other(make_report):
    unnamed = [f"jürgen{number}@example.com" for number in range(20)]
    job = {"consumer_emails": (unnamed[0], "anna@example.com", *unnamed[1:], "bert@example.org")}
    to = parsed(composed(make_report(job=job)))["To"]
    assert [one.addr_spec for one in to.addresses] == ["anna@example.com", "bert@example.org"]
    (group,) = [one for one in to.groups if one.display_name]
    # The library puts a space where a line was folded.
    assert group.display_name.replace(" ", "").split(",") == unnamed


def test_each_mailbox_gets_a_mail_once_and_a_domain_that_is_alike_is_another_one(make_report):
    job = {"consumer_emails": ("a@fass.example", "A@faß.example", "a@XN--fa-hia.example", "A@FASS.example")}
    assert composed(make_report(job=job)).recipients == ("a@fass.example", "A@faß.example")


@pytest.mark.parametrize("sender", ["r@faß.example", "Berichte <r@faß.example>"])
def test_the_domain_of_the_sender_is_in_ascii_wherever_it_stands(make_report, sender):
    mail = composed(make_report(), sender=sender)
    assert mail.sender == parsed(mail)["From"].addresses[0].addr_spec == "r@xn--fa-hia.example"
    (line,) = re.findall(rb"(?m)^From: .*", mail.message)
    assert b"r@xn--fa-hia.example" in line


def test_a_large_result_is_compressed(make_report, monkeypatch):
    monkeypatch.setattr(attachment, "ENCODED_LIMIT", 10_000)
    result = b"a,b\n" + b"1,2\n" * 10_000
    mail = composed(make_report(result=result))
    [file] = parsed(mail).iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("daily_sales_2025-11-09.csv.gz", "application/gzip")
    assert gzip.decompress(file.get_payload(decode=True)) == result
    assert "compressed from 40.0 kB" in text_of(mail)
    # RFC 1952, section 2.3.1: 2 is the slowest level, which takes seconds for what other levels do in one.
    assert file.get_payload(decode=True)[8] != 2
    assert mail == composed(make_report(result=result))


@pytest.mark.long
def test_packing_ends_as_soon_as_no_mail_can_carry_it(monkeypatch):
    noise = io.BytesIO(random.Random(1).randbytes(40_000_000))
    assert attachment.pack(noise) is None
    assert noise.tell() < 10_000_000
    result = b"a,b\n" + b"1,2\n" * 3_000_000
    packed = attachment.pack(io.BytesIO(result))
    assert gzip.decompress(packed) == result
    assert attachment.pack(io.BytesIO(result)) == packed, "no time and no name are in it"
    monkeypatch.setattr(attachment, "LARGEST_PACKED", len(result) - 1)
    large = io.BytesIO(result)
    monkeypatch.setattr(attachment.gzip, "GzipFile", None)
    assert attachment.pack(large) is None, "its size is known before it is read"


@pytest.mark.long
def test_a_result_too_large_for_any_mail_stays_and_the_mail_says_where(make_report):
    mail = composed(
        make_report(result=random.Random(1).randbytes(10_500_000)), kept_at="/data/runs/01k9m/result.csv"
    )
    assert list(parsed(mail).iter_attachments()) == []
    for part in (" ".join(text_of(mail).split()), html_of(mail)):
        assert "The result is not attached: 10.5 MB, or 10.5 MB compressed, is more than a mail can carry." in part
        assert "It is kept at /data/runs/01k9m/result.csv." in part


def test_a_result_that_is_not_there_is_never_passed_over(make_report):
    text = " ".join(text_of(composed(make_report(result=None))).split())
    assert "is more than a mail can carry" in text
    assert "Ask for the result of run 01k9mabcdefghjkmnpqrstvwxy." in text


def big_report(make_report, **options):
    return make_report(result=random.Random(1).randbytes(50_000), **options)


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (AttachmentFormat.CSV, "text/csv"),
        (AttachmentFormat.CSV_GZ, "application/gzip"),
        (AttachmentFormat.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (AttachmentFormat.PARQUET, "application/vnd.apache.parquet"),
    ],
)
def test_the_form_that_the_job_names_is_attached(make_report, form, content_type):
    result = b"a,b\n1,2\n" * 100
    report = make_report(result=result, job={"delivery": DeliveryOptions(attachment=form)})
    mail = composed(report)
    [file] = parsed(mail).iter_attachments()
    name = f"daily_sales_2025-11-09.{form.value}"
    assert (file.get_filename(), file.get_content_type()) == (name, content_type)
    content = file.get_payload(decode=True)
    assert (gzip.decompress(content) if form is AttachmentFormat.CSV_GZ else content) == result
    size = f"{len(content)} bytes" + (", compressed from 800 bytes" if form is AttachmentFormat.CSV_GZ else "")
    assert f"Attached: {name}, {size}." in text_of(mail)
    assert mail == composed(report)


@pytest.mark.parametrize("form", list(AttachmentFormat))
@pytest.mark.parametrize("there", [True, False])
def test_what_fits_into_no_mail_in_any_form_is_explained(make_report, monkeypatch, form, there):
    monkeypatch.setattr(attachment, "ENCODED_LIMIT", 10_000)
    report = big_report(make_report, job={"delivery": DeliveryOptions(attachment=form)}, result_bytes=50_000)
    found = attach(report if there else replace(report, result=None), kept_at="/data/runs/01k9m/result.csv")
    assert found.attachment is None
    assert found.sentence.startswith("The result is not attached: 50.0 kB")
    assert found.sentence.endswith("more than a mail can carry. It is kept at /data/runs/01k9m/result.csv.")
    # How large it would be then, nobody has tried.
    assert ("which may take less room" in found.hint) == (form is not AttachmentFormat.PARQUET)


def test_results_without_a_word_on_their_attachment_are_no_mail(make_report):
    with pytest.raises(ValueError, match="says what is attached"):
        compose(make_report(), attached=None, **FROM)


def test_a_result_that_cannot_be_attached_fails_and_all_are_told(make_report, monkeypatch):
    monkeypatch.setattr(attachment, "ENCODED_LIMIT", 10_000)
    kept = attach(big_report(make_report), kept_at="/data/runs/01k9m/result.csv")
    failure = RunFailure(kind=FailureKind.ATTACHMENT, message=kept.sentence, hint=kept.hint)
    options = DeliveryOptions(notify_failures=NotifyFailures.OWNER, preview_rows=1)
    report = big_report(
        make_report,
        job={"owner": "owner@example.com", "delivery": options},
        run={"state": RunState.FAILED, "failure": failure},
    )
    mail = composed(report)
    assert mail.subject.startswith("Job Failed: daily_sales")
    assert mail.recipients == ("anna@example.com", "bert@example.org", "owner@example.com")
    assert list(parsed(mail).iter_attachments()) == []
    for part in (" ".join(text_of(mail).split()), " ".join(html_of(mail).split())):
        assert "went well and made 18,204 rows, but the result is not attached." in part
        assert part.count("is more than a mail can carry. It is kept at /data/runs/01k9m/result.csv.") == 1
        assert "Let the job make fewer rows or columns" in part
        assert "1 of 18,204 rows, and 3 more columns in the file" in part
        assert "Nord" not in part


def test_why_a_form_cannot_hold_a_result_is_a_sentence(make_report):
    failure = RunFailure(
        kind=FailureKind.ATTACHMENT, message="the result has 16,385 columns. It is kept at /r.csv"
    )
    mail = composed(make_report(run={"state": RunState.FAILED, "failure": failure}))
    assert "\nThe result has 16,385 columns. It is kept at /r.csv.\n" in text_of(mail)


def test_no_preview_rows_show_no_table(make_report):
    mail = composed(make_report(job={"delivery": DeliveryOptions(preview_rows=0)}))
    assert "revenue" not in text_of(mail)
    assert "revenue" not in html_of(mail)


def test_every_attempt_is_listed_with_its_error(make_report):
    def attempt(number, state, message):
        failure = RunFailure(kind=FailureKind.FETCH, message=message)
        return Attempt(
            number=number,
            state=state,
            started_at=NOON,
            finished_at=NOON + timedelta(minutes=number, microseconds=5),
            failure=failure,
        )

    attempts = (
        attempt(1, RunState.FAILED, "the source answered 503"),
        attempt(2, RunState.TIMED_OUT, "it ran <longer> than 300 s"),
    )
    run = {"attempt": 3, "attempts": attempts}
    mail = composed(make_report(failed=True, run=run, job={"retry": Retry(limit=2)}))
    text, html = text_of(mail), " ".join(html_of(mail).split())
    assert "failed in attempt 3 of 3, after 32.4 s: the script raised" in " ".join(text.split())
    assert "  1  2025-11-09 14:01 CET (+01:00), failed: the source answered 503\n" in text
    assert "  2  2025-11-09 14:02 CET (+01:00), timed out: it ran <longer> than 300 s\n" in text
    assert "  3  2025-11-09 14:00:32 CET (+01:00), failed: the script raised KeyError: 'amuont'\n" in text
    assert "2025-11-09 14:02 CET (+01:00), timed out</span><br>it ran &lt;longer&gt; than 300 s</td>" in html


def test_a_run_that_failed_at_once_lists_no_attempts(make_report):
    text = text_of(composed(make_report(failed=True, job={"retry": Retry(limit=2)})))
    assert "ttempt" not in text


@pytest.mark.parametrize(
    ("failed", "before", "words"),
    [
        (True, 3, "4 runs in a row have failed."),
        (True, 0, None),
        (False, 1, "The run before it failed; this one went well."),
        (False, 3, "The 3 runs before it failed; this one went well."),
        (False, 0, None),
    ],
)
def test_a_row_of_failures_is_told(make_report, failed, before, words):
    text = text_of(composed(make_report(failed=failed, failures_before=before)))
    if words is None:
        assert "in a row" not in text
        assert "before it" not in text
    else:
        assert f"{words}\n" in text


def test_a_run_that_was_not_made_says_why(make_report):
    run = {"state": RunState.SKIPPED, "note": "orders failed", "started_at": None, "rows_in": None}
    mail = composed(make_report(run={**run, "rows_out": None}, failures_before=2))
    assert mail.subject == "Job Failed: daily_sales - 2025-11-09 14:00:00"
    for part in (text_of(mail), html_of(mail)):
        assert "For 2025-11-09 14:00 CET (+01:00) the job was not run: orders failed." in part
        assert "in a row" not in part
    assert "Job not run" in html_of(mail)


def test_a_run_whose_job_was_removed_before_it_began_says_how_to_have_it(make_report):
    note = "the job was removed before the run began"
    run = {"state": RunState.CANCELLED, "note": note, "started_at": None, "rows_in": None, "rows_out": None}
    mail = composed(make_report(run=run))
    for part in (text_of(mail), html_of(mail)):
        assert f"For 2025-11-09 14:00 CET (+01:00) the job was not run: {note}." in part
        assert "runner run daily_sales --at 2025-11-09T13:00:00Z" in " ".join(part.split())
    assert "Job not run" in html_of(mail)


def test_a_recovery_tells_others_without_showing_them_the_data(make_report):
    report = make_report(failures_before=3)
    mail = compose_recovery(report, recipients=("owner@example.com",), **FROM)
    assert (mail.kind, mail.recipients) == (MailKind.RECOVERY, ("owner@example.com",))
    assert mail.subject == "Job Recovered: daily_sales - 2025-11-09 14:00:00"
    assert mail.message_id == "<01k9mabcdefghjkmnpqrstvwxy.recovery@example.com>"
    assert list(parsed(mail).iter_attachments()) == []
    for part in (text_of(mail), html_of(mail)):
        assert "went well, after 3 runs in a row had failed." in part
        assert "Its result has 18,204 rows." in part
        assert "Nord" not in part
    assert mail == compose_recovery(report, recipients=("owner@example.com",), **FROM)
    once = compose_recovery(replace(report, failures_before=1), recipients=("owner@example.com",), **FROM)
    assert "went well, after the one before it had failed." in text_of(once)


@pytest.mark.parametrize(("policy", "hold"), [(OnAmbiguous.HOLD, True), (OnAmbiguous.RESEND, False)])
def test_mails_of_a_run_are_held_as_their_job_says(make_report, policy, hold):
    job = {"delivery": DeliveryOptions(on_ambiguous=policy)}
    recovery = compose_recovery(make_report(job=job), recipients=("owner@example.com",), **FROM)
    mails = (composed(make_report(job=job)), composed(make_report(job=job, failed=True)), recovery)
    assert [mail.hold_ambiguous for mail in mails] == [hold] * 3


@pytest.mark.parametrize(
    ("owner", "told"),
    [("olga@example.com", ("olga@example.com",)), (None, ("anna@example.com", "bert@example.org"))],
)
def test_mails_of_a_run_name_those_who_are_told_when_they_come_to_nothing(make_report, owner, told):
    job = {"owner": owner}
    recovery = compose_recovery(make_report(job=job), recipients=("x@example.com",), **FROM)
    for mail in (composed(make_report(job=job)), composed(make_report(job=job, failed=True)), recovery):
        assert mail.notify == told


def test_all_mails_of_a_job_are_of_one_thread(make_report):
    recovery = compose_recovery(make_report(), recipients=("owner@example.com",), **FROM)
    later = composed(make_report(run={"run_id": "another"}))
    for mail in (composed(make_report()), later, composed(make_report(failed=True)), recovery):
        message = parsed(mail)
        assert (message["In-Reply-To"], message["References"]) == (THREAD, THREAD)
        assert b"\r\nReferences: <daily_sales.job@example.com>\r\n" in mail.message


@pytest.mark.parametrize("domain", ["example.com", "a..b.", ".", "exa mple\r\n.com>", "müller.example", ""])
def test_identifiers_keep_to_their_form_whatever_the_domain(make_report, domain):
    mail = composed(make_report(run={"run_id": "..x..y.<"}), message_domain=domain)
    message = parsed(mail)
    atom = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
    for name in ("Message-ID", "References", "In-Reply-To"):
        assert re.fullmatch(f"<{atom}@{atom}>", message[name])


@pytest.mark.parametrize("title", ["ü" * 200, f"{'a' * 80} {'ß日' * 90}", "Größe " * 30])
def test_no_encoded_word_is_too_long_and_none_changes_what_is_told(title):
    """RFC 2047, section 2: 75 characters each."""
    header = EmailMessage(policy=_POLICY)
    header["Subject"] = title.strip()
    header["From"] = Address("Größe 日 " * 30, "a" * 60, f"{'e' * 60}.example")
    told = header.as_bytes()
    assert max(map(len, re.findall(rb"=\?[^?\s]+\?[bq]\?[^?\s]*\?=", told))) <= 75
    assert max(map(len, told.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(told)
    assert str(make_header(decode_header(parsed["Subject"]))) == title.strip()
    name, address = email.utils.parseaddr(parsed["From"])
    assert address == f"{'a' * 60}@{'e' * 60}.example"
    assert str(make_header(decode_header(name))).split() == ["Größe", "日"] * 30


def test_the_encoded_size_is_that_of_the_mail(make_report):
    small, large = (composed(make_report(result=os.urandom(size))) for size in (57, 57 * 101))
    grown = len(large.message) - len(small.message)
    assert abs(grown - (attachment.encoded_size(57 * 101) - attachment.encoded_size(57))) <= 8
