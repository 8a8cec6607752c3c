import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.references import mask
from runner.core.secret_forms import forms_of

KEY = "k3y/x+y==\"<&>'ü"


@pytest.mark.parametrize(
    "written",
    [
        quote(quote(KEY, safe=""), safe=""),  # `next=` of a login page
        quote(quote_plus(KEY)),
        json.dumps(KEY).replace("/", "\\/"),  # PHP
        r"k3y/x+y==\"\u003c\u0026\u003e'ü",  # Go, Rails
        r"k3y/x+y\u003d\u003d\"\u003c\u0026\u003e\u0027ü",  # Gson
        r"k3y/x\u002By==\u0022\u003C\u0026\u003E\u0027\u00FC",  # .NET
        json.dumps(json.dumps({"key": KEY})),
        json.dumps(json.dumps({"key": KEY}, ensure_ascii=False), ensure_ascii=False),
        "k3y/x+y==&#34;&lt;&amp;&gt;&#39;ü",  # Go, Jinja
        "k3y/x+y==&quot;&lt;&amp;&gt;&#039;ü",  # PHP
        html.escape(KEY),
        repr(KEY.encode()),
        KEY.encode().decode("latin-1"),
        json.dumps(base64.b64encode(KEY.encode()).decode()).replace("/", "\\/"),
        quote(base64.b64encode(KEY.encode()).decode(), safe=""),
    ],
)
def test_a_secret_is_known_however_a_server_writes_it(written):
    masked = mask(f"the key is {written}.", forms_of(KEY))
    assert "***" in masked
    assert "k3y" not in masked
    assert base64.b64encode(KEY.encode()).decode()[:8] not in masked


@given(st.text(min_size=4))
def test_a_secret_is_masked_as_it_is(secret):
    forms = forms_of(secret)
    assert secret in forms
    assert "" not in forms


def test_what_is_empty_has_no_form():
    assert forms_of("") == frozenset()


def test_bytes_of_the_environment_that_are_no_text_have_forms():
    assert "pass\udcff" in forms_of("pass\udcff")
