import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.utils import requote_uri

from runner.core.masking import forms_of, mask, masker

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


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"), min_size=4))
def test_a_secret_is_known_in_an_address_that_was_made_with_it(secret):
    asked_for = requote_uri(re.sub("%(?![0-9A-Fa-f]{2})", "%25", f"https://api.example.com/{secret}"))
    assert asked_for.removeprefix("https://api.example.com/") in forms_of(secret)


@given(st.text(min_size=4))
def test_a_secret_is_masked_as_it_is(secret):
    forms = forms_of(secret)
    assert secret in forms
    assert "" not in forms


@pytest.mark.parametrize("secret", ["", "&", "a/b"])
def test_what_is_too_short_has_no_form(secret):
    assert forms_of(secret) == frozenset()


def test_bytes_of_the_environment_that_are_no_text_have_forms():
    assert "pass\udcff" in forms_of("pass\udcff")


class TestMask:
    def test_every_occurrence(self):
        assert mask("token=s3cret&again=s3cret", ["s3cret"]) == "token=***&again=***"

    def test_one_masker_masks_many_texts(self):
        masked = masker(["s3cret", "s3cret-long", "", "abc"])
        assert [masked(text) for text in ("s3cret-long", "abc s3cret", "")] == ["***", "abc ***", ""]

    def test_longest_first(self):
        assert mask("s3cret-long", ["s3cret", "s3cret-long"]) == "***"

    def test_short_and_empty_values_are_left(self):
        assert mask("a b abc", ["", "a", "abc"]) == "a b abc"
        assert mask("abcd", ["abcd"]) == "***"

    @given(st.text(), st.lists(st.text(alphabet="abcdef", min_size=4), max_size=4))
    def test_no_secret_is_left(self, text, secrets):
        masked = mask(text + "".join(secrets), secrets)
        assert not any(secret in masked for secret in secrets)
