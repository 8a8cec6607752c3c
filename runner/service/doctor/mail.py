"""Whether mails can leave: the server is asked, and no mail is sent."""

import os

from runner.core.health import Finding
from runner.delivery.connection import IMPLICIT_TLS_PORT
from runner.delivery.folder import MailFolder
from runner.delivery.smtp import SmtpTransport
from runner.errors import SettingsError
from runner.service.doctor.findings import problem, warning
from runner.settings import DEFAULT_SENDER, Settings

MAIL = "mail"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def check_mail(settings: Settings) -> Finding:
    """Connect, encrypt and log in, as a mail would."""
    smtp = settings.smtp
    if not smtp.host:
        folder = settings.mail_dir
        # It is made with the first mail; a link to a volume that is away is there already. Where the state
        # folder is closed to this user, that is a finding of its own.
        wrong = MailFolder(folder).check() if os.path.lexists(folder) else ""
        if wrong:
            return problem(MAIL, wrong, "Until then mails stay in the database, and are tried again.")
        return warning(
            MAIL,
            f"SMTP_HOST is not set: mails are kept as .eml files in {settings.mail_dir}",
            "Set SMTP_HOST, SMTP_USER, SMTP_PASSWORD and SMTP_FROM_EMAIL to send them.",
        )
    try:
        transport = SmtpTransport(smtp)
    except SettingsError as error:
        return problem(MAIL, error.message, error.hint)
    wrong = transport.check()
    if wrong:
        return problem(
            MAIL, wrong, "Mend the SMTP_ settings or the server; until then mails are kept and tried again."
        )
    if smtp.from_email == DEFAULT_SENDER:
        return problem(
            MAIL,
            f"{transport.describe()}: it takes mails, but they would come from {DEFAULT_SENDER}",
            "Set SMTP_FROM_EMAIL to an address of your own: many servers refuse this one.",
        )
    if not smtp.use_tls and smtp.port != IMPLICIT_TLS_PORT and smtp.host not in _HERE:
        return warning(
            MAIL,
            f"{transport.describe()}: everybody on the way can read mails and password",
            "Set SMTP_USE_TLS=true.",
        )
    return Finding(subject=MAIL, message=f"{transport.describe()}, from {smtp.from_email}")
