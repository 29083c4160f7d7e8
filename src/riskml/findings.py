"""What is wrong with data or a model, said so that it can be mended, in English and Chinese."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing found in a table: which rule, where, how often, the first case.

    Attributes
    ----------
    rule : str
        Short stable name of the rule, for example ``"known_before_date"``.
    table, column : str
        Where it was found; ``column`` may be empty.
    count : int
        Number of rows (or households) concerned.
    first : str
        The first case in words that find it again, for example ``"household_id '1042', 2021-03-01"``.
    en, zh : str
        The whole message: what was expected, what came, where, what to do.
    words : mapping
        What filled the message besides the above, so that findings of parts of a table can be added up.
    """

    rule: str
    table: str
    column: str
    count: int
    first: str
    en: str
    zh: str
    words: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


class DataRefused(ValueError):
    """Data that must not be used.

    Parameters
    ----------
    findings : sequence of Finding
        Everything found, not only the first; kept as ``findings``.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(message(finding) for finding in self.findings))

    def __reduce__(self) -> tuple[type[DataRefused], tuple[tuple[Finding, ...]]]:
        """Let a worker process hand it to the one that asked."""
        return type(self), (self.findings,)


class ModelRefused(ValueError):
    """A model bundle that is damaged, foreign, or does not fit the data."""


def language() -> Literal["en", "zh"]:
    """Return the language of messages, ``"zh"`` if ``RISKML_LANG`` starts with zh, else ``"en"``."""
    return "zh" if os.environ.get("RISKML_LANG", "").lower().startswith("zh") else "en"


def in_words(en: str, zh: str) -> str:
    """Return the English or the Chinese text, as the user asked."""
    return zh if language() == "zh" else en


def message(finding: Finding) -> str:
    """Return the message of a finding in the language of :func:`language`."""
    return in_words(finding.en, finding.zh)
