"""Which e-mail templates there are: folders of the configured ``templates_dir``, then the shipped ones."""

import re
from functools import lru_cache
from pathlib import Path

from wedsync_ops.errors import quoted

SHIPPED = Path(__file__).with_name("templates")
SUBJECT, HTML, TEXT = "subject.txt", "body.html", "body.txt"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def problem(template_id: object, templates_dir: Path | None) -> str | None:
    """What is wrong with a template's name, ``None`` when there is such a template."""
    if not isinstance(template_id, str):
        return "the name of a template is needed"
    if template_id in _names(templates_dir):
        return None
    there_are = known(templates_dir)
    if template_id in there_are:
        return None
    return f"there is no template {quoted(template_id)}; known: {', '.join(sorted(there_are))}"


def known(templates_dir: Path | None) -> frozenset[str]:
    """The names of all templates."""
    _names.cache_clear()
    return _names(templates_dir)


def has_text(template_id: str, templates_dir: Path | None) -> bool:
    """Whether the folder that gives a template's HTML has a text part beside it."""
    own = templates_dir / template_id if templates_dir else None
    folder = own if own is not None and (own / HTML).is_file() else SHIPPED / template_id
    return (folder / TEXT).is_file()


def is_own(template_id: str, templates_dir: Path | None) -> bool:
    """Whether any file of a known template may come from the configured folder."""
    return templates_dir is not None and (templates_dir / template_id).is_dir()


@lru_cache(maxsize=8)
def _names(templates_dir: Path | None) -> frozenset[str]:
    shipped = {name for name in _folders(SHIPPED) if _has(SHIPPED, name, SUBJECT) and _has(SHIPPED, name, HTML)}
    if templates_dir is None:
        return frozenset(shipped)
    own = {
        name
        for name in _folders(templates_dir)
        if name in shipped or (_has(templates_dir, name, SUBJECT) and _has(templates_dir, name, HTML))
    }
    return frozenset(shipped | own)


def _folders(root: Path) -> list[str]:
    try:
        return [entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name)]
    except OSError:
        return []


def _has(root: Path, name: str, file: str) -> bool:
    return (root / name / file).is_file()
