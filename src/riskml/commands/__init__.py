"""What the subcommands do: a few library calls each, with files before and after."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from riskml.commands.demo import demo
from riskml.commands.effects import effects
from riskml.commands.lists import changes, report, score
from riskml.commands.models import evaluate, recalibrated, train
from riskml.commands.outlook import outlook
from riskml.commands.plans import plan
from riskml.commands.stress import imagined
from riskml.commands.tables import check, convert, import_, simulate
from riskml.steps import Answer, Tell

RUN: dict[str, Callable[[argparse.Namespace, Tell], Answer]] = {
    "demo": demo,
    "simulate": simulate,
    "convert": convert,
    "import": import_,
    "check": check,
    "train": train,
    "evaluate": evaluate,
    "recalibrate": recalibrated,
    "score": score,
    "outlook": outlook,
    "effects": effects,
    "plan": plan,
    "stress": imagined,
    "report": report,
    "changes": changes,
}
