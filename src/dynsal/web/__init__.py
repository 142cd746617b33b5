"""Pages for browsers: templates, styles and scripts beside this file, joined to one file that needs no network."""

from __future__ import annotations

import html
import re
from importlib.resources import files

_PLACE = re.compile(r"\{\{(file|text|raw):([\w.]+)\}\}")


def fill(template: str, **values: str) -> str:
    """Return a template of this folder with its places filled.

    ``{{file:NAME}}`` is the text of another file of this folder, ``{{text:NAME}}`` a value with its markup escaped,
    ``{{raw:NAME}}`` a value as it is. What is filled in is not looked through again.

    Raises
    ------
    KeyError
        If a place has no value.
    """

    def place(found: re.Match[str]) -> str:
        kind, name = found.groups()
        if kind == "file":
            return (files(__name__) / name).read_text(encoding="utf-8")
        return html.escape(values[name]) if kind == "text" else values[name]

    return _PLACE.sub(place, (files(__name__) / template).read_text(encoding="utf-8"))
