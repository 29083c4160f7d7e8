"""How well returns are foretold out of time, beside every rival: ``python benchmarks/skill.py [--write] [NAME ...]``.

Every model sees the same rows and features. ``NAME`` chooses the cases that hold the text. Scores are kept in a folder,
so that a run that was stopped goes on where it was, and a changed riskml is the only model computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from cases import Case, cases
from results import publish
from rivals import Rival, rivals
from scores import Score, all_scores
from skill_page import DRAWS, RULES, Measured, draw, measured, page

SCORES = Path(__file__).with_name(".skill")
PICTURE = Path(__file__).parents[1] / "docs" / "skill.svg"


def main() -> None:
    """Score the cases, print their tables and, if asked, put them into RESULTS.md and the picture into docs."""
    learners = [name for name in rivals() if name != RULES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases that hold one of these texts")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md and the picture into docs")
    parser.add_argument("--draws", type=int, default=DRAWS, help="bootstrap draws")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="seeds of the quiet simulated county")
    parser.add_argument("--scores", type=Path, default=SCORES, help="folder that keeps the scores")
    parser.add_argument("--without", nargs="+", default=[], choices=learners, help="rivals to leave out")
    parser.add_argument("--only-scores", action="store_true", help="compute the scores and stop")
    arguments = parser.parse_args()
    chosen = {
        name: make
        for name, make in cases(seeds=tuple(arguments.seeds)).items()
        if not arguments.names or any(text in name for text in arguments.names)
    }
    left_out = {name: f"{rival.package} is not installed" for name, rival in rivals().items() if rival.missing}
    left_out |= dict.fromkeys(arguments.without, "not asked for")
    present = {name: rival for name, rival in rivals().items() if name not in left_out}
    found: list[Measured] = []
    for name, make in chosen.items():
        case = make()
        scores = all_scores(case, name, present, arguments.scores)
        lists = list_scores(case, name, present[RULES], arguments.scores)
        print(f"{name}: scored", file=sys.stderr, flush=True)
        if not arguments.only_scores:
            found.append(measured(name, case, scores, lists, n_draws=arguments.draws))
    if found:
        publish("skill", page(found, n_draws=arguments.draws, left_out=left_out), write=arguments.write)
        if arguments.write:
            draw(found, PICTURE)


def list_scores(case: Case, name: str, rules: Rival, folder: Path) -> dict[str, Score]:
    """Return the scores of riskml and the trigger rules for the monthly lists; none where the case has no lists."""
    if case.X_lists is None:
        return {}
    return all_scores(dataclasses.replace(case, X_test=case.X_lists), f"{name}, lists", {RULES: rules}, folder)


if __name__ == "__main__":
    main()
