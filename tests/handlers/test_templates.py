"""The sandbox: templates read data, end, and never reach out; a missing field is polite words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.handlers.test_email import CONTEXT, site_in
from wedsync_ops.handlers import render
from wedsync_ops.handlers.contract import PermanentError
from wedsync_ops.handlers.fields import fields_from
from wedsync_ops.handlers.plaintext import from_html
from wedsync_ops.handlers.sandbox import MAX_OUTPUT

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=80)


def filled(source: str, kind: render.Kind = "text", **values: Any) -> str:
    return render.fill(source, {**fields_from(CONTEXT), **values}, kind)


@pytest.mark.parametrize(
    "source",
    [
        "{{ couple_name.__class__ }}",
        "{{ client['__class__'] }}",
        "{{ client['__cl' ~ 'ass__'] }}",
        "{{ _rounds }}",
        "{{ client.items() }}",
        "{{ 'x'.format(1) }}",
        "{{ couple_name|attr('upper') }}",
        "{{ couple_name|safe }}",
        "{% autoescape false %}{{ couple_name }}{% endautoescape %}",
        "{% import 'layout.html' as x %}",
        "{% extends 'layout.html' %}",
        "{% include '/etc/passwd' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{% filter upper %}x{% endfilter %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1 // 0 }}",
        "{{ lipsum }}{{ cycler.__init__ }}",
        "(" * 9 + "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "{% if %}",
        "{{ 'x' }",
    ],
)
def test_what_reaches_out_or_is_broken_fails_for_good(source: str) -> None:
    if source == "{{ 'x' }":
        assert render.fault_in(source)
    with pytest.raises(PermanentError) as caught:
        filled(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in many %}{{ long }}{% endfor %}",
        "{% set a = long ~ long %}{% set a = a ~ a %}{% set a = a ~ a %}{% set a = a ~ a %}{% set a = a ~ a %}{{ a }}",
        "{% set a = long + long %}{% set a = a + a %}{% set a = a + a %}{% set a = a + a %}{% set a = a + a %}{{ a }}",
        "{{ many|join(long) }}",
    ],
)
def test_work_and_output_are_bounded(source: str) -> None:
    with pytest.raises(PermanentError, match="more than"):
        filled(source, many=list(range(1000)), long="x" * (MAX_OUTPUT // 10))


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("Dear {{ couple_name }},", "Dear happy couple,"),
        ("on {{ wedding_date }} at {{ venue_name }}", "on your wedding day at your venue"),
        ("{{ supplier.name }}, {{ supplier_name }}", "your supplier, your supplier"),
        ("{{ client.first_name }}", "happy couple"),
        ("{{ nothing.at.all }}", "to be confirmed"),
        ("{{ step.count + 1 }}{{ step.list|length }}", "to be confirmed0"),
        ("{% for x in step.list %}x{% endfor %}{{ step.sum|round(2) }}", "to be confirmed"),
        ("{% if step.late > 3 %}late{% else %}fine{% endif %}", "fine"),
        ("{{ couple_name|default('you two') }}", "you two"),
        ("{{ step.url|link }}!", "!"),
        ("{{ step.day|date }}", "to be confirmed"),
    ],
)
def test_a_missing_field_is_polite_words_and_never_an_error(source: str, shown: str) -> None:
    assert render.fill(source, fields_from({})) == shown


@pytest.mark.parametrize("empty", [None, "", "  \n"])
def test_an_empty_field_counts_as_missing(empty: str | None) -> None:
    values = fields_from({"client_data": {"couple_name": empty, "first_name": empty}})
    assert render.fill("{{ couple_name }}|{{ client.first_name }}", values) == "happy couple|happy couple"


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ({"couple_name": "A & B", "partner1_name": "C"}, "A & B"),
        ({"partner1_name": "Ada", "partner2_name": "Grace"}, "Ada & Grace"),
        ({"first_name": "Ada", "partner_name": "Grace"}, "Ada & Grace"),
        ({"first_name": "Ada", "last_name": "Byron"}, "Ada Byron"),
        ({"name": "Ada Byron"}, "Ada Byron"),
    ],
)
def test_the_couples_name_is_found_or_put_together(client: dict[str, Any], name: str) -> None:
    assert fields_from({"client_data": client})["couple_name"] == name


def test_the_wedding_date_is_written_out_and_other_data_is_found() -> None:
    values = fields_from({**CONTEXT, "location": "Kent"})
    shown = render.fill(
        "{{ wedding_date }}; {{ wedding.iso_date }}; {{ wedding.location }}; {{ wedding.venue }}", values
    )
    assert shown == "Saturday, 19 June 2027; 2027-06-19; Kent; The Old Barn"


def test_data_goes_before_methods_of_its_type() -> None:
    assert render.fill("{{ step.items }}", fields_from({"step_data": {"items": "two"}})) == "two"
    assert render.fill("{{ step.items }}", fields_from({})) == "to be confirmed"


@given(value=TEXT)
@settings(max_examples=150, deadline=None)
def test_values_are_data_in_every_kind(value: str) -> None:
    hostile = value + "{{ 7*7 }}<b>[a](javascript:x)"
    assert filled("{{ x }}", x=hostile) == hostile
    html = filled("{{ x }}", "html", x=hostile)
    assert "<" not in html
    assert "49" not in html.replace(value, "")
    assert "](" not in filled("{{ x }}", "markdown", x=hostile)


@given(value=TEXT)
@settings(max_examples=150, deadline=None)
def test_any_text_renders_or_fails_for_good(value: str) -> None:
    for source in (value, "{{" + value + "}}", "{%" + value + "%}"):
        try:
            filled(source)
        except PermanentError as error:
            assert "\n" not in str(error)


def test_personalization_is_a_template_once_and_then_data() -> None:
    values = render.values_for(CONTEXT, {"greeting": "Dear {{ couple_name }}", "trap": "{{ '{{' }} 7*7 }}", "n": 3})
    assert render.fill("{{ greeting }}|{{ trap }}|{{ n }}", values) == "Dear Ada & Grace|{{ 7*7 }}|3"


def own(folder: Path, name: str, **parts: str) -> Path:
    place = folder / "templates" / name
    place.mkdir(parents=True)
    for part, content in parts.items():
        suffix = "html" if part == "body_html" else "txt"
        (place / f"{part.removesuffix('_html')}.{suffix}").write_text(content)
    return folder / "templates"


def test_an_own_template_goes_first_and_its_text_is_made_from_its_html(tmp_path: Path) -> None:
    html = '{% extends "layout.html" %}{% block content %}<p>Mine, {{ couple_name }}</p>{% endblock %}'
    site = site_in(tmp_path, templates_dir=own(tmp_path, "thank-you", subject="Own", body_html=html))
    mail = render.mail("thank-you", fields_from(CONTEXT), site)
    assert mail.subject == "Own"
    assert "<p>Mine, Ada &amp; Grace</p>" in mail.html
    assert "Mine, Ada & Grace" in mail.text


def test_a_line_of_tags_leaves_no_line_and_other_lines_keep_theirs(tmp_path: Path) -> None:
    text = "{% if true %}\n- one{% if x %}{% endif %}\n{% endif %}\n- two\n"
    folder = own(tmp_path, "mine", subject="s", body_html="h", body=text)
    assert render.mail("mine", {}, site_in(tmp_path, templates_dir=folder)).text == "- one\n- two"


@pytest.mark.parametrize(
    "html", ["{% extends '../../secret.html' %}", "{% extends x %}", "{% extends 'mine/body.html' %}", "{{ '' * }}"]
)
def test_a_template_file_stays_in_its_folder_and_ends(tmp_path: Path, html: str) -> None:
    (tmp_path / "secret.html").write_text("secret")
    folder = own(tmp_path, "mine", subject="s", body_html=html)
    with pytest.raises(PermanentError):
        render.mail("mine", {}, site_in(tmp_path, templates_dir=folder))


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/b", ".", "..", "welcome-email/", "layout.html", ""])
def test_a_template_id_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match="there is no template.*welcome-email"):
        render.mail(name, {}, site_in(tmp_path, templates_dir=tmp_path))


def test_plain_text_reads_like_the_html() -> None:
    html = "<head><title>t</title></head><h1>Hi</h1><p>a  b<br>c</p><ul><li>x</li></ul><a href='http://x'>go</a>"
    assert from_html(html) == "Hi\n\na b\nc\n\n- x\ngo (http://x)\n"
