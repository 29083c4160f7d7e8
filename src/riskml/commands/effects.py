"""The subcommand that asks what past help did: effects."""

from __future__ import annotations

import argparse

from riskml.effects.estimate import estimate_effects
from riskml.effects.words import effect_sentences
from riskml.features.panel import training_dates
from riskml.files import write_table
from riskml.findings import in_words
from riskml.planning.measures import read_measures
from riskml.steps import Answer, Tell, read, records


def effects(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Estimate what starting measures did about return, from the monitoring history."""
    data = read(arguments.data, tell)
    if arguments.measures is not None:
        names = list(read_measures(arguments.measures)["measure"])
    else:
        names = sorted(set(data.tables["assistance"]["measure"])) if "assistance" in data.tables else []
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
