"""Nothing that steers a terminal or turns the order of a text reaches a couple, however it was written."""

from pathlib import Path
from typing import Any

import pytest

from tests.handlers.mailing import CONTEXT, attempt, mails, site_in
from wedsync_ops.cli.render import cell
from wedsync_ops.handlers.contract import PermanentError
from wedsync_ops.handlers.render import fill
from wedsync_ops.jobs.model import Result

CONTROLS = [*(chr(code) for code in (*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)), *"\u202a\u202e\u2066\u2069"]
EVIL = "".join(CONTROLS)


def test_a_text_keeps_lines_and_tabs_and_joiners() -> None:
    for source in ("a\n\tb\u200d{EVIL}", "a\n\tb\u200d{EVIL}{{ x }}"):
        assert fill(source.replace("{EVIL}", EVIL), {"x": ""}) == "a\n\tb\u200d"
    assert fill("{{ x }}", {"x": f"y{EVIL}z"}, "html") == "yz"


def test_no_part_of_a_mail_has_them(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    about = {**CONTEXT, "client_data": {**CONTEXT["client_data"], "couple_name": f"Ada{EVIL} & Grace"}}
    assert attempt(site, {"template_id": "thank-you"}, about)[0] is Result.OK
    for part in mails(site)[0].walk():
        if part.get_content_maintype() == "text":
            assert not set(part.get_content()) & set(CONTROLS)


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_no_page_has_them(tmp_path: Path, kind: str) -> None:
    site = site_in(tmp_path, link_secret="ab" * 32)
    about = {**CONTEXT, "supplier_data": {"name": f"Lumen{EVIL}"}}
    config: dict[str, Any] = {
        "title": f"Hello{EVIL}",
        "content": f"one{EVIL} &#x202e; &#27; {{{{ supplier_name }}}}",
        "content_type": kind,
    }
    result, error, _ = attempt(site, config, about, module="info")
    assert result is Result.OK, error
    for file in site.outbox.rglob("*.html"):
        assert not set(file.read_text("utf-8")) & set(CONTROLS)
    assert list(site.outbox.rglob("*.html"))


def test_a_table_shows_them_escaped() -> None:
    assert cell({"a": "x\u202ey\x1b\x7f"}) == r'{"a":"x\u202ey\u001b\x7f"}'


@pytest.mark.parametrize("name", ["self", "super", "caller", "varargs", "kwargs"])
def test_names_of_the_engine_are_no_data(name: str) -> None:
    with pytest.raises(PermanentError, match=f"the name '{name}' is not allowed"):
        fill(f"{{{{ {name} }}}}", {})
    assert fill(f"{{{{ client.{name} }}}}", {"client": {name: "x"}}) == "x"
