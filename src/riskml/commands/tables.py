"""The subcommands that make and look at tables: simulate, convert, import, check."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskml.buckets.importing import append_tables, import_tables
from riskml.buckets.sources import open_source
from riskml.datasets import load_eph, load_malawi, make_monitoring
from riskml.features.audit import audit_features
from riskml.features.standard import STANDARD
from riskml.findings import in_words
from riskml.steps import Answer, Tell, audit_lines, read, records
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import write_monitoring

#: Surveys that ``convert`` reads.
PANELS: dict[str, Callable[[Path], Monitoring]] = {"eph": load_eph, "malawi": load_malawi}


def simulate(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the tables of a simulated county."""
    tell(in_words("simulating", "正在模拟"))
    data = make_monitoring(arguments.households, n_months=arguments.months, random_state=arguments.seed)
    return _written(data, arguments.folder)


def convert(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the monitoring tables of a household survey."""
    source, folder = arguments.source, arguments.folder
    tell(in_words(f"reading the survey in {source}", f"正在读取{source}中的调查数据"))
    data = PANELS[arguments.panel](source)
    tell(in_words(f"writing {folder}", f"正在写入{folder}"))
    return _written(data, folder)


def import_(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Make a store of the tables of a folder or database, or add to one."""
    source = open_source(arguments.source, settings=arguments.settings)
    limits: dict[str, Any] = {"memory_mb": arguments.memory, "tell": lambda en, zh: tell(in_words(en, zh))}
    if arguments.append:
        store = append_tables(source, arguments.store, **limits)
    else:
        store = import_tables(source, arguments.store, bucket_households=arguments.bucket_households, **limits)
    rows, notes = store.manifest["imports"][-1]["rows"], store.manifest["settings"]["notes"]
    lines = [*notes, *(f"{name:<12}{count:>12,}" for name, count in rows.items())]
    values = {"store": str(arguments.store), "buckets": store.n_buckets, "rows": rows, "notes": notes}
    return Answer(values, "\n".join([f"{arguments.store} ({store.n_buckets:,})", *lines]))


def check(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what is odd in monitoring tables."""
    data = read(arguments.data, tell)
    findings = data.check()
    said = findings[in_words("message_en", "message_zh")]
    lines = [*data.notes, *(f"{rule}: {text}" for rule, text in zip(findings["rule"], said, strict=True))]
    if findings.empty:
        lines.append(in_words("nothing odd was found", "未发现异常"))
    values: dict[str, Any] = {"findings": records(findings), "notes": list(data.notes)}
    if arguments.audit_as_of:
        tell(in_words("auditing the features", "正在审查特征"))
        audited = audit_features(data, (*STANDARD, *data.features), arguments.audit_as_of)
        values["audit"] = records(audited)
        lines += ["", in_words("audit of the features:", "特征审查："), *audit_lines(audited)]
    return Answer(values, "\n".join(lines))


def _written(data: Monitoring, folder: Path) -> Answer:
    """Write monitoring tables and say what was written."""
    write_monitoring(data, folder)
    rows = {name: len(table) for name, table in data.tables.items()}
    lines = [*data.notes, *(f"{name:<12}{count:>10,}" for name, count in rows.items())]
    values = {"folder": str(folder), "rows": rows, "notes": list(data.notes)}
    return Answer(values, "\n".join([str(folder), *lines]))
