"""RESULTS.md: each benchmark prints its section and, with ``--write``, puts it between its own marks."""

from __future__ import annotations

import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def publish(section: str, text: str, *, write: bool) -> None:
    """Print a section and put it into RESULTS.md if asked."""
    print(text)
    if write:
        start, end = f"<!-- {section} -->\n", f"\n<!-- end of {section} -->\n"
        whole = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n\n"
        before, _, rest = whole.partition(start)
        after = rest.partition(end)[2] if rest else ""
        RESULTS.write_text(before + start + text + end + after, encoding="utf-8")


def machine() -> str:
    """Return what the figures were measured on."""
    import lightgbm
    import numpy
    import pandas

    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (lightgbm, numpy, pandas))
    return f"Python {platform.python_version()}, {versions}, {platform.machine()}."


def markdown(rows: list[list[str]]) -> str:
    """Return rows (the first is the head) as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
