"""Files in object stores: `s3://`, `gs://`, `az://` and `abfs://`, downloaded into the run's folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from runner.core.report import size_words
from runner.core.source import DataSource
from runner.errors import FetchError
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.files import LARGEST_MATCH, no_match, too_large, too_many
from runner.fetch.places import resolve_location, scheme_of, source_key
from runner.fetch.references import References
from runner.fetch.words import shown_words
from runner.fetch.worker import run_worker
from runner.fetch.worker_orders import FaultKind, StoreOrder, WorkerFault, WorkerOrder, WorkerOutcome

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
# Libraries try for longer than a fetch may take: what is wrong would never be told.
_RETRY_SHARE = 1 / 3
_CREDENTIALS = {
    "s3": ("AWS_",),
    "gcs": ("GOOGLE_", "GCLOUD_", "GCE_", "STORAGE_EMULATOR_HOST"),
    "azure": ("AZURE_",),
}
_NETWORK = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle"}
    | {"curl_ca_bundle", "home"}
)
_UNNAMED_HINT = "A store takes `//` for a folder without a name: write / if there is none."
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|ACCOUNT_KEY|CONNECTION_STRING")
_PLACE_NAME = re.compile(r"_(?:FILE|PATH|URL|URI)\Z")


def fetch_store(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The objects that `location` names, in the order of their names, as files in the run's folder.

    `timeout_seconds` bounds it all. Credentials, and the address of a store of one's own, are those that the usual
    variables of each store say, in the environment of the service. What stands where an address has its host, the
    bucket, is held against `allowed_hosts`.

    Raises:
        FetchError: there is none, it may not be read, or it is too much. Not masked yet.
    """
    scheme, mark, rest = resolve_location(source, context, references).strip().partition("://")
    # A scheme may be in capitals (RFC 3986, section 3.1), which fsspec does not know.
    location = f"{scheme.lower()}{mark}{rest}"
    extra = _require_store(location, source, context)
    environ = _environment(context.environ, extra, references)
    order = StoreOrder(
        location=location,
        folder=str(context.run_dir),
        stem=f"input-{source.name}",
        max_bytes=source.max_bytes,
        max_files=LARGEST_MATCH,
        retry_seconds=context.timeout_seconds * _RETRY_SHARE,
    )
    outcome = run_worker(
        WorkerOrder(store=order),
        environ=environ,
        what=location,
        seconds=context.timeout_seconds,
        cancelled=context.cancelled,
        hint="Check the store's address and credentials; or ask for less data, or raise API_FETCH_TIMEOUT.",
    )
    if outcome.fault is not None:
        words = shown_words(outcome.fault.message, references)
        raise _fault(outcome, outcome.fault, location, source.max_bytes, words)
    files = f"{len(outcome.paths):,} files of " if len(outcome.paths) > 1 else ""
    return Fetched(
        paths=tuple(map(Path, outcome.paths)),
        format=source.format,
        records_path=source.records_path,
        bytes=outcome.bytes,
        secrets=references.secrets,
        description=references.mask(f"{files}{location}, {size_words(outcome.bytes)}"),
    )


def _require_store(location: str, source: DataSource, context: FetchContext) -> str:
    """The extra that reads a location.

    Raises:
        FetchError: no store is known by that scheme, or the policy does not allow it.
    """
    key = source_key(source, "location")
    extra = EXTRAS.get(scheme_of(location) or "")
    if extra is None:
        raise FetchError(
            f"{key} begins with {scheme_of(location)}://, which is no place of files",
            hint="A file is at a path, or at s3://, gs://, az://, abfs://; for http use source_type: api.",
        )
    try:
        parts = urlsplit(location)
        bucket, password = parts.hostname or "", parts.password
    except ValueError:
        bucket, password = "", None
    if not bucket or password is not None:
        raise FetchError(
            f"{key} is no address of a file in a store",
            hint="Write s3://bucket/folder/file.csv. Credentials stand in the environment of the service.",
        )
    if not context.bounds.allows_host(bucket):
        raise FetchError(
            f"the policy does not allow the bucket {bucket}",
            hint="Have it added to `allowed_hosts` in _policy.yaml.",
        )
    return extra


def _environment(environ: Mapping[str, str], extra: str, references: References) -> dict[str, str]:
    """What the worker gets to know: the variables of this store, proxies and authorities. Secrets are masked."""
    prefixes = _CREDENTIALS[extra]
    chosen = {
        name: value
        for name, value in environ.items()
        if value and (name.startswith(prefixes) or name.lower() in _NETWORK)
    }
    for name, value in chosen.items():
        if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name):
            references.add_secret(value)
            # `AccountName=…;AccountKey=…;…`
            for part in value.split(";"):
                label, _, content = part.partition("=")
                if label in {"AccountKey", "SharedAccessSignature"}:
                    references.add_secret(content)
    return chosen


def _fault(outcome: WorkerOutcome, fault: WorkerFault, location: str, limit: int, words: str) -> FetchError:
    extra = EXTRAS[scheme_of(location) or ""]
    match fault.kind:
        case FaultKind.DRIVER:
            return FetchError(
                f"what reads {scheme_of(location)}:// is not installed: {words}",
                hint=f"Install it with: pip install 'gitops-runner[{extra}]'",
            )
        case FaultKind.MISSING:
            missing = no_match(location)
            has_unnamed = "//" in location.partition("://")[2]
            return FetchError(missing.message, hint=_UNNAMED_HINT) if has_unnamed else missing
        case FaultKind.BUCKET:
            what = "container" if extra == "azure" else "bucket"
            return FetchError(
                f"{location} cannot be read: the store has no {what} {words}",
                hint=f"Check the {what} in `location`, and that the service's environment "
                f"({_CREDENTIALS[extra][0]}…) names the store that has it.",
            )
        case FaultKind.COUNT:
            return too_many(location)
        case FaultKind.SIZE:
            return too_large(location, outcome.bytes, limit)
        case FaultKind.DENIED:
            return FetchError(
                f"{location} may not be read: {words}",
                hint=f"Check the credentials ({_CREDENTIALS[extra][0]}…) of the service, and their rights.",
            )
        case FaultKind.DISK:
            return FetchError(
                f"{location} cannot be kept: {words}", hint="Is there room in the folder of the state?"
            )
        case _:
            return FetchError(
                f"{location} could not be read: {words}",
                hint="Check `location`, and the store's address, region and credentials in the service's "
                "environment.",
            )
