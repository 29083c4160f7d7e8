"""The subcommand that asks what past help did: effects."""

from __future__ import annotations

import argparse

from riskml.effects.estimate import estimate_effects
from riskml.effects.words import effect_sentences
from riskml.features.panel import training_dates
from riskml.files import write_table
from riskml.findings import in_words
from riskml.planning.estimated import with_estimated_effects
from riskml.planning.measures import read_measures
from riskml.steps import Answer, Tell, read, records


def effects(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Estimate what starting measures did about return, from the monitoring history."""
    data = read(arguments.data, tell)
    if arguments.measures_out is not None and arguments.measures is None:
        raise ValueError(in_words("--measures-out needs --measures CSV", "--measures-out 需要同时给出 --measures CSV"))
    offered = None if arguments.measures is None else read_measures(arguments.measures)
    given = set(data.tables["assistance"]["measure"]) if "assistance" in data.tables else set[str]()
    names = sorted(given) if offered is None else list(offered["measure"])
    dates = training_dates(data, horizon_months=arguments.horizon_months, every_months=arguments.every_months)
    tell(in_words(f"estimating effects on {len(dates)} dates", f"正在按{len(dates)}个评估日期估计效果"))
    found = estimate_effects(
        data,
        names,
        dates,
        horizon_months=arguments.horizon_months,
        window_months=arguments.window_months,
        rule=arguments.rule,
        outcome=arguments.outcome,
        groups=arguments.groups,
        random_state=arguments.seed,
    )
    write_table(found.table, arguments.out)
    if offered is not None and arguments.measures_out is not None:
        write_table(with_estimated_effects(offered, found), arguments.measures_out)
    said = effect_sentences(found)[f"sentence_{in_words('en', 'zh')}"].tolist()
    values = {
        "out": str(arguments.out),
        "as_of_dates": [f"{day:%Y-%m-%d}" for day in dates],
        "effects": records(found.table),
        "overlap": records(found.overlap),
        "controls": records(found.controls),
        "sentences": said,
    }
    return Answer(values, "\n".join([f"{arguments.out}", *said]))
