import email
import email.policy
import gzip
import os
import random
import re
from html.parser import HTMLParser

import pytest

from runner.core.job import DeliveryOptions, NotifyFailures
from runner.core.run import Preview, RunState
from runner.delivery import attachment
from runner.delivery.compose import compose
from runner.delivery.words import width


def composed(report, **options):
    return compose(
        report, **{"sender": "Reports <runner@example.com>", "message_domain": "example.com", **options}
    )


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


def test_a_large_result_is_compressed(make_report, monkeypatch):
    monkeypatch.setattr(attachment, "ENCODED_LIMIT", 10_000)
    result = b"a,b\n" + b"1,2\n" * 10_000
    mail = composed(make_report(result=result))
    [file] = parsed(mail).iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("daily_sales_2025-11-09.csv.gz", "application/gzip")
    assert gzip.decompress(file.get_payload(decode=True)) == result
    assert "compressed from 40.0 kB" in text_of(mail)
    assert mail == composed(make_report(result=result))


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


def test_the_encoded_size_is_that_of_the_mail(make_report):
    small, large = (composed(make_report(result=os.urandom(size))) for size in (57, 57 * 101))
    grown = len(large.message) - len(small.message)
    assert abs(grown - (attachment.encoded_size(57 * 101) - attachment.encoded_size(57))) <= 8
