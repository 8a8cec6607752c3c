"""Which of some names a wrong one was meant for: by its spelling, or by what other tools call the same thing."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# Nothing longer is a misspelling of a name: comparing takes the time of the product of both lengths.
_LONGEST = 64
_CLOSE = 0.6
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MARKS = re.compile(r"[^a-z0-9]+")
# Cyrillic and Greek letters that look like Latin ones: https://www.unicode.org/reports/tr39/#Confusable_Detection
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u043a\u043c\u0442"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408"
    "\u03bf\u03b1\u03b9\u03bd\u03c1\u03c5\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4"
    "\u03a7\u03a5\u2010\u2011\u2012\u2013\u2014\u2212\u2018\u2019\u201c\u201d",
    "aeopcyxsijhdqwkmtABEKMHOPCTYXSIJoaivpuABEZHIKMNOPTXY------''\"\"",
)

# What people call a key or a value (in small letters, without marks), by what we call it.
# A name that stands here twice means the first of ours that can stand in its place.
_OTHER_NAMES = (
    ("job_name", "name id jobid title dag dagid"),
    ("name", "title id"),
    ("description", "desc comment doc docs documentation"),
    ("owner", "maintainer author contact team"),
    ("tags", "labels label tag group groups"),
    ("suspend", "suspended disabled paused pause"),
    ("schedule_time", "cron crontab cronexpression cronschedule schedule schedules scheduleinterval"),
    ("schedule_time", "trigger triggers interval every"),
    ("after", "depends dependson dependencies dependency needs requires upstream upstreams"),
    ("after", "waitfor waitsfor follows runafter"),
    ("timezone", "tz zone"),
    ("on_missed", "catchup misfire misfirepolicy missed recovermissedschedules backfill"),
    ("starting_deadline_seconds", "startingdeadline misfiregracetime catchupwindow"),
    ("concurrency_policy", "concurrency overlap overlappolicy maxactiveruns maxinstances"),
    ("timeout_seconds", "timeout timeoutsec timeoutsecs executiontimeout activedeadlineseconds maxduration"),
    ("max_timeout_seconds", "timeout timeoutseconds"),
    ("retry", "retries retrypolicy retrystrategy onretry"),
    (
        "limit",
        "retries maxretries retrylimit attempts maxattempts backofflimit count retrycount maxtries tries times",
    ),
    ("backoff_seconds", "backoff retrydelay retryinterval retrydelayseconds delay delayseconds wait waitseconds"),
    ("max_delay_seconds", "maxdelay maxbackoff maxretrydelay maxbackoffseconds maxwait"),
    ("resources", "limits"),
    ("memory_mb", "memory mem ram memorylimit memorygb"),
    ("max_memory_mb", "memory memorymb"),
    ("cpu_seconds", "cpu cpus cputime cpulimit"),
    ("data_sources", "sources inputs datasets tables"),
    ("data_source", "source sources input inputs data dataset datasources"),
    ("given", "input inputs data source sources"),
    ("expect", "expected expects output result"),
    ("source_type", "type kind sourcekind"),
    ("type", "kind"),
    ("location", "url uri href endpoint address path file filename filepath sourcepath"),
    ("file_type", "format fileformat dataformat contenttype responseformat"),
    ("query", "sql statement select sqlquery"),
    ("sheet", "sheetname worksheet tab"),
    ("delimiter", "separator seperator sep delim fieldseparator fielddelimiter"),
    ("encoding", "charset"),
    ("decimal", "decimalseparator decimalsign decimalpoint"),
    ("columns", "usecols cols fields"),
    ("dtypes", "dtype types columntypes"),
    ("parse_dates", "dates datecolumns"),
    ("headers", "header httpheaders"),
    ("header", "headername keyname"),
    ("pagination", "paging paginate paginator pages"),
    ("param", "parameter pageparam queryparam cursorparam"),
    ("in", "paramin where place placement location sentin"),
    ("size_param", "sizeparameter limitparam pagesizeparam perpageparam"),
    ("size", "pagesize perpage limit"),
    ("start", "startpage firstpage startfrom"),
    ("cursor_path", "cursor nextcursor nextcursorpath cursorfield nextpath"),
    ("link_path", "nextlinkpath nexturlpath linkfield urlpath nextlink nexturl nextpath next"),
    ("max_pages", "pagelimit pages"),
    ("retries", "retry maxretries retrycount attempts maxattempts"),
    ("on_unchanged", "ifunchanged unchanged onnotmodified"),
    ("incremental", "watermark incrementalload highwatermark"),
    ("cursor", "cursorfield cursorcolumn column field incrementalkey"),
    ("initial_value", "initial initialcursor startvalue start startfrom"),
    ("checks", "check validations expectations assertions quality qualitychecks datatests"),
    ("not_null", "nonnull required"),
    ("unique", "uniquekey primarykey distinct"),
    ("accepted_values", "allowedvalues isin valuesin oneof"),
    ("row_count", "rowcount rows count"),
    ("blocking", "block critical"),
    ("column", "col field name"),
    ("value", "val bound limit"),
    ("values", "value accepted allowed"),
    ("chart", "plot graph figure charts"),
    ("x", "xaxis"),
    ("y", "yaxis"),
    ("response_format", "format filetype fileformat dataformat contenttype responsetype"),
    ("method", "verb httpmethod requestmethod"),
    ("params", "param parameters query queryparams queryparameters querystring"),
    ("body", "payload json data requestbody"),
    ("auth", "authentication authorization credentials"),
    ("token", "bearer bearertoken apitoken accesstoken"),
    ("username", "user login"),
    ("password", "pass passwd pwd"),
    ("records_path", "jsonpath datapath rootpath recordpath itemspath"),
    ("max_bytes", "maxsize sizelimit"),
    ("processing_script", "script code python transform"),
    ("processing_script_file", "scriptfile scriptpath"),
    ("processing_query", "sql query"),
    ("processing_query_file", "sqlfile queryfile sqlpath"),
    ("consumer_emails", "email emails mail mails mailto to recipient recipients consumer consumers subscribers"),
    ("on_empty", "empty ifempty"),
    ("preview_rows", "preview"),
    ("attachment", "attach attachas attachmentformat attachmenttype format fileformat filetype outputformat"),
    ("defuse_formulas", "escapeformulas sanitizeformulas sanitize escapecells formulas"),
    ("notify_after", "failurethreshold alertafter notifythreshold consecutivefailures"),
    ("on_ambiguous", "ambiguous ifambiguous"),
    ("notify_failures", "notify notifications notification notifyon notifyonfailure alert alerts mailon"),
    ("notify_failures", "onfailure onerror errormail mailonfailure onpermanentfailure"),
    ("allowed_hosts", "hosts allowhosts"),
    ("private_hosts", "internalhosts localhosts"),
    ("recipient_domains", "domains alloweddomains emaildomains"),
    ("allowed_imports", "imports modules"),
    ("data_roots", "roots folders paths"),
    ("api", "http https rest url web"),
    ("file", "local filesystem csv path s3 gs az bucket"),
    ("database", "db sql postgres postgresql mysql mariadb sqlite jdbc odbc"),
    ("string", "str text varchar object char"),
    ("integer", "int int32 int64 bigint long"),
    ("number", "float float64 double decimal numeric real"),
    ("boolean", "bool"),
    ("timestamp", "datetime datetime64 time"),
    ("page", "pagenumber pages"),
    ("offset", "limitoffset"),
    ("query", "params url querystring address"),
    ("link_header", "link links linkheader header"),
    ("next_link", "nexturl nextpage next odata jsonlink bodylink"),
    ("header", "apikey key custom"),
    ("bearer", "token oauth oauth2 jwt"),
    ("line", "lines linechart"),
    ("bar", "bars barchart column columns histogram"),
    ("ndjson", "jsonl jsonlines"),
    ("parquet", "pq"),
    ("xlsx", "excel xls spreadsheet workbook"),
    ("csv.gz", "gz gzip gzipcsv csvgzip"),
    ("run_once", "once"),
    ("run_all", "all catchup"),
)
_OURS: dict[str, list[str]] = {}
for _ours, _others in _OTHER_NAMES:
    for _other in _others.split():
        _OURS.setdefault(_other, []).append(_ours)


def nearest(given: object, known: Iterable[str]) -> str | None:
    """The one of `known` that was probably meant: the same but for case and marks, a synonym, or the closest."""
    names = tuple(known)
    return same(given, names) or synonym(given, names) or closest(given, names)[0]


def same(given: object, known: Iterable[str]) -> str | None:
    """The one of `known` that is the same name in camelCase, kebab-case, capitals or look-alike letters."""
    text = str(given)
    if len(text) > _LONGEST:
        return None
    squashed = _squashed(text)
    return next((name for name in known if squashed and _squashed(name) == squashed), None)


def synonym(given: object, known: Iterable[str]) -> str | None:
    """The one of `known` that is called so by other tools."""
    text = str(given)
    ours = _OURS.get(_squashed(text), []) if len(text) <= _LONGEST else []
    names = set(known)
    return next((name for name in ours if name in names), None)


def closest(given: object, known: Iterable[str]) -> tuple[str | None, float]:
    """The one of `known` that is spelt most alike, and how much alike: 1 is the same. None where none is close."""
    text = str(given)
    if len(text) > _LONGEST:
        return None, 0.0
    return _closest(_worded(text), tuple(known))


@lru_cache(maxsize=4096)
def _closest(worded: str, known: tuple[str, ...]) -> tuple[str | None, float]:
    # Compared in small letters, whatever the case of the known ones.
    by_word = {_worded(name): name for name in reversed(known)}
    matches = difflib.get_close_matches(worded, by_word, n=1, cutoff=_CLOSE)
    if not matches:
        return None, 0.0
    return by_word[matches[0]], difflib.SequenceMatcher(None, worded, matches[0]).ratio()


def plain_letters(text: str) -> str:
    """The text in plain Latin letters where its own look like them or carry accents; without what is invisible."""
    decomposed = unicodedata.normalize("NFKD", text).translate(_LOOK_ALIKES)
    return "".join(one for one in decomposed if unicodedata.category(one) not in {"Mn", "Cf"})


def odd_letter(text: str) -> str:
    """Words on the first character of a text that looks like a plain one and is not; empty where there is none."""
    for place, character in enumerate(text[:_LONGEST]):
        code = ord(character)
        if code < 0x80 or not _deceives(character):
            continue
        name = unicodedata.name(character, "a control character").capitalize()
        return f"character {place + 1} is U+{code:04X} ({name})"
    return ""


def _deceives(character: str) -> bool:
    """Whether a character is taken for a plain one, or not seen at all."""
    if ord(character) in _LOOK_ALIKES or unicodedata.category(character) in {"Cf", "Zs", "Cc"}:
        return True
    return unicodedata.normalize("NFKC", character).isascii()


@lru_cache(maxsize=4096)
def _worded(text: str) -> str:
    """`jobName`, `Job-Name` and `job name` as `job_name`."""
    return _MARKS.sub("_", _HUMP.sub("_", plain_letters(text)).lower()).strip("_")


@lru_cache(maxsize=4096)
def _squashed(text: str) -> str:
    return _worded(text).replace("_", "")
