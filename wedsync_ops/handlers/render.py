"""Rendering: texts from configs, and the e-mail templates, over a job's fields.

Whatever is wrong with a template is a PermanentError here; ``faults_in`` finds it when a job is queued.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import ChoiceLoader, FileSystemLoader, Template, TemplateError, TemplateNotFound, TemplateSyntaxError

from wedsync_ops.errors import shortened
from wedsync_ops.handlers import branding, catalogue
from wedsync_ops.handlers.attachments import Attachment
from wedsync_ops.handlers.budget import BUDGET, MAX_OUTPUT, Budget
from wedsync_ops.handlers.checks import is_template
from wedsync_ops.handlers.contract import PermanentError, Site
from wedsync_ops.handlers.controls import without_controls
from wedsync_ops.handlers.fields import fields_from
from wedsync_ops.handlers.plaintext import from_html
from wedsync_ops.handlers.sandbox import Sandbox
from wedsync_ops.instants import zone_named
from wedsync_ops.weddings.context import zone_from

Kind = Literal["text", "html", "markdown"]
_SHORT = 2_000
"""The longest source, in characters, that is kept compiled for long."""
_STEPS_OF_CODE, _STEPS_OF_A_FAULT, _MOST_OF_A_FAULT = 8, 20, 200_000
"""What compiling takes from the budget: for a byte of code, and for a character of what cannot be compiled."""
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, NameError, RecursionError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendered:
    """An e-mail's three parts, and the logo that its HTML shows."""

    subject: str
    html: str
    text: str
    logo: Attachment | None = None


def values_for(
    context: Mapping[str, Any], site: Site, personalization: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The fields of a context, and what ``personalization`` adds: its texts are templates over those fields.

    Raises PermanentError when one of them fails, InvalidContext when the context's time zone is none.
    """
    values = fields_from(context, zone_from(context, zone_named(site.timezone)))
    if personalization:
        budget = Budget()
        values |= {name: _personal(name, value, values, budget) for name, value in personalization.items()}
    return values


def fill(
    source: str,
    values: Mapping[str, Any],
    kind: Kind = "text",
    what: str = "the text",
    budget: Budget | None = None,
) -> str:
    """Render a text of a config. ``kind`` says how values are escaped: not at all, for HTML, or for Markdown.

    ``what`` names the text in the error. Texts of one job can share a ``budget``. Raises PermanentError.
    """
    if not is_template(source):
        return without_controls(source)
    budget = budget or Budget()
    try:
        budget.begin_template()
        template, steps = _compiled(source, kind)
        budget.spend(steps)
    except TemplateError as error:
        raise PermanentError(f"{what}: cannot be rendered: {error}") from error
    if isinstance(template, str):
        raise PermanentError(f"{what}: is no good template: {template}")
    return _run(template, values, what, budget)


def faults_in(texts: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Why texts cannot be rendered, by their places: each in one line that begins with its place."""
    budget = Budget()
    for place, text in texts.items():
        if is_template(text):
            try:
                fill(text, values, what=place, budget=budget)
            except PermanentError as error:
                yield str(error)


def mail(template_id: str, values: Mapping[str, Any], site: Site, subject: str | None = None) -> Rendered:
    """Render an e-mail template; ``subject`` (a template itself) stands in for the template's own.

    Raises PermanentError when there is no such template or it fails.
    """
    problem = catalogue.problem(template_id, site.templates_dir)
    if problem:
        raise PermanentError(problem)
    files = _files(site.templates_dir)
    logo = branding.logo(values, site.attachments_dir)
    values = {**values, **branding.fields(values, logo)}
    if subject is None:
        subject = _file(files, f"{template_id}/{catalogue.SUBJECT}", values)
    else:
        subject = fill(subject, values, what="subject_override")
    html = _file(files, f"{template_id}/{catalogue.HTML}", {**values, "subject": subject})
    if catalogue.has_text(template_id, site.templates_dir):
        text = _file(files, f"{template_id}/{catalogue.TEXT}", values)
    else:
        text = without_controls(from_html(html))
    return Rendered(subject, html, text, _shown(logo, html))


def template_fault(template_id: str, site: Site) -> str | None:
    """Why a known template of one's own cannot be used: its files are no UTF-8, or none that can be compiled."""
    names = [catalogue.SUBJECT, catalogue.HTML]
    if catalogue.has_text(template_id, site.templates_dir):
        names.append(catalogue.TEXT)
    try:
        for name in names:
            _loaded(_files(site.templates_dir), f"{template_id}/{name}")
    except PermanentError as error:
        return str(error)
    return None


def notice(heading: str, body_html: str, values: Mapping[str, Any], site: Site) -> Rendered:
    """An e-mail in the shared layout around a body that is already safe HTML. Raises PermanentError."""
    logo = branding.logo(values, site.attachments_dir)
    template_values = {**values, **branding.fields(values, logo), "subject": heading, "body": _SafeHtml(body_html)}
    html = _file(_files(site.templates_dir), "notice.html", template_values)
    return Rendered(heading, html, without_controls(from_html(html)), _shown(logo, html))


def _shown(logo: Attachment | None, html: str) -> Attachment | None:
    """The logo, when the HTML names it: a template of one's own may not, and it would look like an attachment."""
    return logo if logo is not None and f"cid:{branding.content_id(logo)}" in html else None


class _SafeHtml(str):
    """HTML that was sanitised already, and is put out as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _personal(name: str, value: Any, values: Mapping[str, Any], budget: Budget) -> Any:
    if not isinstance(value, str):
        return value
    return fill(value, values, what=f"personalization.{shortened(name, 40)}", budget=budget)


def _escape_markdown(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))


@lru_cache(maxsize=3)
def _texts(kind: Kind) -> Sandbox:
    show = _escape_markdown if kind == "markdown" else None
    return Sandbox(escape_html=kind == "html", show=show)


@lru_cache(maxsize=8)
def _files(templates_dir: Path | None) -> Sandbox:
    folders = [folder for folder in (templates_dir, catalogue.SHIPPED) if folder is not None]
    return Sandbox(escape_html=False, loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]))


def _compiled(source: str, kind: Kind) -> tuple[Template | str, int]:
    """The compiled template, or what is wrong with it, and the steps that compiling takes.

    Few long ones are kept: compiled they are ten times as large.
    """
    return (_kept if len(source) <= _SHORT else _kept_long)(source, kind)


def _compile(source: str, kind: Kind) -> tuple[Template | str, int]:
    try:
        template = _texts(kind).from_string(source)
    except (*_FAILURES, SyntaxError) as error:
        return _reason(error), min(_MOST_OF_A_FAULT, _STEPS_OF_A_FAULT * len(source))
    return template, _STEPS_OF_CODE * len(template.root_render_func.__code__.co_code)  # the code tells the work best


_kept = lru_cache(maxsize=512)(_compile)
_kept_long = lru_cache(maxsize=16)(_compile)


def _file(files: Sandbox, name: str, values: Mapping[str, Any]) -> str:
    return _run(_loaded(files, name), values, f"the template {name}", Budget())


def _loaded(files: Sandbox, name: str) -> Template:
    try:
        return files.get_template(name)
    except TemplateNotFound as error:
        raise PermanentError(f"the template {name} needs {error.name}, which is not there") from error
    except (*_FAILURES, SyntaxError) as error:
        raise PermanentError(f"the template {name} cannot be used: {_reason(error)}") from error


def _run(template: Template, values: Mapping[str, Any], what: str, budget: Budget) -> str:
    parts: list[str] = []
    size = 0
    try:
        for piece in template.generate({**values, BUDGET: budget}):
            size += len(piece)
            if size > MAX_OUTPUT:
                raise PermanentError(f"{what}: makes more than {MAX_OUTPUT:,} characters")
            parts.append(piece)
    except _FAILURES as error:
        raise PermanentError(f"{what}: cannot be rendered: {_reason(error)}") from error
    return without_controls("".join(parts))


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    text = shortened(" ".join(str(error).split())) or type(error).__name__
    return f"line {error.lineno}: {text}" if isinstance(error, TemplateSyntaxError) else text
