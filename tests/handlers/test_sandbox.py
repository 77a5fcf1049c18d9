"""Templates cannot take more time or memory than a mail needs, whatever stands in them."""

import time
import tracemalloc
from typing import Any

import pytest

from wedsync_ops.handlers.budget import MAX_PARTS, MAX_SOURCE
from wedsync_ops.handlers.contract import PermanentError
from wedsync_ops.handlers.render import faults_in, fill

DOUBLED = "{% set l = [1, 2] %}" + "{% set l = [l, l] %}" * 40
TUPLES = "{% set t = (1, 2) %}" + "{% set t = (t, t) %}" * 40
LONG = "{% set s = text %}" + "{% set s = s ~ s %}" * 11
IN_LOOPS = (
    "{% for a in ten %}{% for b in ten %}{% for c in ten %}{% for d in ten[:5] %}HERE{% endfor %}" + "{% endfor %}" * 3
)
VALUES: dict[str, Any] = {
    "text": "<b>word</b> <!---->" * 4,
    "ten": list(range(10)),
    "words": ["a", "b"],
    "blank": " " * 900_000,
    "many": ["x"] * 200_000,
    "couple_name": "Ada & Grace",
    "amount": 1234.5,
    "nested": {"list": [1, [2]]},
}


def filled(source: str) -> str:
    return fill(source, VALUES, "html")


@pytest.mark.parametrize(
    "source",
    [
        "{% set a = 99999999 %}" + "{% set a = a * a %}" * 30,
        "{% set a = -99999999 %}" + "{% set a = a * a %}" * 30 + "{{ -a }}",
        "{% set a = 1e300 %}{{ a * a }}",
        "{{ 0 - 1e308 - 1e308 }}",
        "{{ 1e308 / 0.001 }}",
        "{{ " + "9" * 4000 + " }}",
        "{{ 0x" + "f" * 4000 + " }}",
        "{{ 1e999 }}",
        "{{ '1e999'|float }}",
        "{{ ('9' ~ '9999999999999999999999')|int }}",
        "{{ '%999999999d' is odd }}",
        "{{ '%999999999d' is divisibleby 3 }}",
        DOUBLED + "{{ l == l[:1] }}",
        DOUBLED + "{% set m = [l, l] %}{{ l == m[0] }}{{ m != [l, l] }}",
        DOUBLED + "{{ l is eq(l) }}",
        DOUBLED + "{{ l is in([l]) }}",
        DOUBLED + "{{ l in [l] }}",
        DOUBLED + "{{ l is upper }}",
        TUPLES + "{{ {t: 1} }}",
        TUPLES + "{{ t in {} }}",
        "{% set s = '<b>&amp;</b>' %}"
        + "{% set s = s ~ s %}" * 14
        + IN_LOOPS.replace("HERE", "{{ s|striptags|length }}"),
        LONG + IN_LOOPS.replace("HERE", "{% if s + 'a' == s + 'b' %}{% endif %}"),
        LONG + IN_LOOPS.replace("HERE", "{% if s|title|trim|truncate(9) %}{% endif %}"),
        LONG + IN_LOOPS.replace("HERE", "{% if 'nowhere' ~ c in s %}{% endif %}"),
        LONG + IN_LOOPS.replace("HERE", "{% if s[::2] %}{% endif %}"),
        IN_LOOPS.replace("HERE", "{% if c in many %}{% endif %}{% if many|join(c) %}{% endif %}"),
        IN_LOOPS.replace("HERE", "{% if many[::2] %}{% endif %}"),
        IN_LOOPS.replace("HERE", "{% if a %}{% endif %}" * 400),
        "".join(f"{{% set s{n} = many|join('{n}') %}}" for n in range(100)),
    ],
)
def test_what_takes_without_end_is_refused_at_once(source: str) -> None:
    started = time.process_time()
    with pytest.raises(PermanentError):
        filled(source)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (DOUBLED + "{{ l|upper|length < 99 }}", "yes"),
        (DOUBLED + "{{ words|join(l) }}", "ato be confirmedb"),
        (DOUBLED + "{{ l|length }}", "2"),
        (DOUBLED + "{{ [l] is sequence }}", "yes"),
        (IN_LOOPS.replace("HERE", "{% if blank %}{% endif %}"), ""),
        ("{{ nested|upper }} {{ missing|title }} {{ 7|upper }}", "TO BE CONFIRMED To Be Confirmed 7"),
        ("{{ '9' * 1 if false else ('9' ~ '9' * 0 if false else 'x') }}", "x"),
    ],
)
def test_what_is_small_after_all_is_rendered_at_once(source: str, text: str) -> None:
    started = time.process_time()
    assert filled(source) == text
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ couple_name|upper }}", "ADA &amp; GRACE"),
        ("{{ ('<b>Rain</b>\n <!-- <i> --> &amp; sun < ' ~ '')|striptags }}", "Rain &amp; sun &lt;"),
        ("{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true, '…') }}", "foo... foo bar …"),
        ("{{ 'abc defghi'|truncate(2) }}", "..."),
        ("{{ '  x '|trim }}{{ '--y-'|trim('-') }}", "xy"),
        (
            "{{ '42.7'|int + '0x1f'|int(base=16) }} {{ 'x'|int(7) }} {{ '1.5.'|float(8) }}",
            "73 7 8",
        ),
        ("{{ ('9' * 1 if false else 'x')|int(3) }}", "3"),
        (
            "{{ amount|round(0) }} {{ amount|money }} {{ -3|abs }} {{ 7 // 2 }} {{ 7 % 4 }} {{ -amount }}",
            "1234 1,234.50 3 3 3 -1234.5",
        ),
        ("{{ 1 < 2 <= 2 }} {{ words == ['a', 'b'] }} {{ 'a' in words }} {{ 'c' not in words }}", "yes yes yes yes"),
        ("{{ couple_name == 'Ada & Grace' }} {{ 'Ada' in couple_name }} {{ nested == [] }}", "yes yes no"),
        (
            "{{ ten[4] is even }} {{ ten[9] is divisibleby(3) }} {{ x is defined }} {{ words is eq(['a', 'b']) }}",
            "yes yes no yes",
        ),
        ("{{ words[:1]|join }} {{ couple_name[4:5] }} {{ {'a': 1, couple_name: 2}.a }}", "a &amp; 1"),
        ("{% for w in words if w != 'a' %}{{ loop.index }}/{{ loop.length }}{{ w }}{% endfor %}", "1/1b"),
        ("{{ 'b'|first }}{{ words|last }}{{ words|count }}", "bb2"),
    ],
)
def test_the_language_of_mails_is_as_it_was(source: str, text: str) -> None:
    assert filled(source) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("HTTPS://x.example/ü", "HTTPS://x.example/ü"),
        ("http\u017f://x.example", ""),
        ("https://x.example/a\u00a0b", ""),
        ("https://x.example/\u061ca", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_a_link_leads_to_where_it_says(value: str, text: str) -> None:
    assert fill("{{ url|link }}", {"url": value}) == text


def test_a_template_may_be_as_large_as_the_limits_say() -> None:
    assert filled("{{ couple_name }}" + "x" * (MAX_SOURCE - 17)).startswith("Ada")
    with pytest.raises(PermanentError, match=f"longer than {MAX_SOURCE:,} characters"):
        filled("{{ couple_name }}" + "x" * (MAX_SOURCE - 16))
    with pytest.raises(PermanentError, match=f"more than {MAX_PARTS:,} parts"):
        filled("{{ a }}" * MAX_PARTS)
    started = time.process_time()
    for source in ("{{a}}" * 19_000, "{{" + "a," * 49_000 + "a}}", "{{" + "(" * 90_000):
        with pytest.raises(PermanentError):
            filled(source)
    assert time.process_time() - started < 2


def test_the_texts_of_one_job_share_what_there_is() -> None:
    one = IN_LOOPS.replace("HERE", "{% if a %}{% endif %}" * 5)
    assert list(faults_in({"one": one}, VALUES)) == []
    started = time.process_time()
    found = list(faults_in({f"text {n}": f"{{# {n} #}}{one}" for n in range(500)}, VALUES))
    assert time.process_time() - started < 6
    assert len(found) > 400
    assert "steps" in found[-1]


def test_long_sources_are_not_kept() -> None:
    """Each takes ten times its size once compiled; a day's pages would fill the memory."""
    tracemalloc.start()
    try:
        for number in range(50):
            filled(f"{number} {{{{ couple_name }}}}" + "x" * (MAX_SOURCE - 100))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 45 * MAX_SOURCE
