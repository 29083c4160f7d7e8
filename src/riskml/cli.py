"""The ``riskml`` command: arguments, messages and exit codes; what the subcommands do is in ``commands/``."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from riskml import __version__
from riskml.findings import DataRefused, ModelRefused, in_words

DONE, FAILED, USAGE, DATA_REFUSED, MODEL_REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130
_EPILOG = (
    "A risk ranks visits; a person decides. "
    "Exit codes: 0 done, 1 failed, 2 usage, 3 data refused, 4 model refused, 130 interrupted."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if not given.

    Returns
    -------
    int
        0 done, 1 failed, 2 usage, 3 data refused, 4 model refused, 130 interrupted.

    Examples
    --------
    >>> main(["--version"])
    riskml 0.1.0
    0
    """
    try:
        _choose_language(argv)
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else USAGE
    return _guarded(lambda: _run(arguments))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Returns
    -------
    argparse.ArgumentParser
        Its ``parse_args`` gives ``command`` and that command's arguments.
    """
    parser = argparse.ArgumentParser(prog="riskml", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"riskml {__version__}")
    _add_global(parser, default=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (summary, add_arguments) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        _add_global(command, default=argparse.SUPPRESS)
        add_arguments(command)
    return parser


def _choose_language(argv: Sequence[str] | None) -> None:
    """Set the language before anything can go wrong, even with the other arguments."""
    parser = argparse.ArgumentParser(prog="riskml", add_help=False)
    parser.add_argument("--lang")
    chosen = parser.parse_known_args(argv)[0].lang
    if chosen in ("en", "zh"):
        os.environ["RISKML_LANG"] = chosen


def _run(arguments: argparse.Namespace) -> int:
    # Threads that wait must not spin: on a busy machine spinning made training twenty times slower. Set before loading.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from riskml import commands  # numeric libraries are loaded only now

    answer = commands.RUN[arguments.command](arguments, _teller(arguments.quiet))
    if arguments.json:
        print(json.dumps(answer.values, ensure_ascii=False, allow_nan=False))  # noqa: T201
    elif answer.text:
        print(answer.text)  # noqa: T201
    sys.stdout.flush()
    return DONE


def _guarded(run: Callable[[], int]) -> int:
    """Turn what a user can cause into one clear message and an exit code."""
    try:
        return run()
    except KeyboardInterrupt:
        _complain("interrupted", "已中断")
        return INTERRUPTED
    except DataRefused as refused:
        _complain(f"data refused\n{refused}", f"数据未被接受\n{refused}")
        return DATA_REFUSED
    except ModelRefused as refused:
        _complain(f"model refused: {refused}", f"模型未被接受：{refused}")
        return MODEL_REFUSED
    except BrokenPipeError:
        # The reader (`| head`) has left; Python must not complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except FileNotFoundError as error:
        missing = error.filename or error
        _complain(f"no such file or folder: {missing}", f"找不到文件或文件夹：{missing}")
        return FAILED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = error.strerror or error
        _complain(f"cannot read or write{where}: {reason}", f"无法读写{where}：{reason}")
        return FAILED
    except (ValueError, ImportError) as error:  # an extra that is not installed says so itself
        _complain(str(error), str(error))
        return FAILED


def _complain(en: str, zh: str) -> None:
    print(f"riskml: {in_words(en, zh)}", file=sys.stderr)  # noqa: T201


def _teller(quiet: bool) -> Callable[[str], None]:
    """Return what says how far the work is: on a terminal, and not if told to be quiet."""
    shown = sys.stderr.isatty() and not quiet

    def tell(progress: str) -> None:
        if shown:
            print(progress, file=sys.stderr, flush=True)  # noqa: T201

    return tell


def _add_global(parser: argparse.ArgumentParser, *, default: object) -> None:
    """Add the arguments allowed before and after the command (there a default must not overwrite what came before)."""
    off = default if default is argparse.SUPPRESS else False
    parser.add_argument("--json", action="store_true", default=off, help="print one JSON object instead of text")
    parser.add_argument("--lang", choices=("en", "zh"), default=default, help="language of messages and texts")
    parser.add_argument("--quiet", action="store_true", default=off, help="no progress on stderr")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write (default demo)")
    _size(parser)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write the tables to")
    _size(parser)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("panel", choices=("eph", "malawi"), help="Argentina's EPH or Malawi's IHPS")
    parser.add_argument("source", type=_input, metavar="SOURCE", help="folder of the survey's files")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write the tables to")


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=_source,
        metavar="SOURCE",
        help="folder of monitoring tables, or a PostgreSQL database (postgresql://USER@HOST/NAME; read, never written)",
    )
    parser.add_argument("store", type=Path, metavar="STORE", help="folder of the store to write")
    parser.add_argument(
        "--append", action="store_true", help="add to the store what became known since it was last written"
    )
    parser.add_argument("--settings", type=_input, metavar="DIR", help="folder of the monitoring.toml (default SOURCE)")
    parser.add_argument(
        "--bucket-households",
        type=_whole,
        default=50_000,
        metavar="N",
        help="about how many households a bucket holds (default 50000)",
    )
    parser.add_argument(
        "--memory",
        type=_whole,
        default=1000,
        metavar="MB",
        help="memory for sorting; half a GB comes on top (default 1000)",
    )


def _check(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument(
        "--audit-as-of",
        type=_date,
        action="append",
        default=[],
        metavar="DATE",
        help="also audit every feature on this day (may be given again): does it see what was not yet known, and could "
        "these data have shown it?",
    )


def _train(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("--horizon-months", type=_whole, default=12, metavar="N", help="months ahead (default 12)")
    parser.add_argument(
        "--test-from",
        type=_date,
        metavar="DATE",
        help="learn only from what was known on this day and measure on later dates; without it, learn from everything",
    )
    parser.add_argument(
        "--outcome",
        choices=("welfare", "status", "deprivation"),
        default="welfare",
        help="what decides: welfare below the line (default), the table of official status, or deprivation in several "
        "dimensions",
    )
    parser.add_argument(
        "--rule", choices=("at_horizon", "any"), default="at_horizon", help="when it counts as a return"
    )
    parser.add_argument("--net-of-assistance", action="store_true", help="judge on income without public transfers")
    parser.add_argument(
        "--without-net",
        action="store_true",
        help="do not learn the risk net of assistance beside the risk (saves a third of the time; lists then leave it "
        "empty)",
    )
    _every_months(parser)
    parser.add_argument(
        "--keep-nonreturns",
        type=_share,
        default=1.0,
        metavar="SHARE",
        help="learn from this share of the rows without a return; their weight makes up for it (default 1)",
    )
    parser.add_argument(
        "--weigh-lost",
        action="store_true",
        help="let households whose outcome was observed stand for those like them that were lost "
        "(inverse-probability weights from the features; no help where they leave because of what comes)",
    )
    parser.add_argument(
        "--tune",
        type=_whole,
        default=0,
        metavar="TRIALS",
        help="search better settings on earlier dates first, use them if they win on the newest (needs riskml[tune])",
    )
    parser.add_argument(
        "--interval-groups",
        type=_names,
        default=[],
        metavar="COLUMN,...",
        help="give the groups of these columns (as in `riskml evaluate --groups`; of several, their combination) "
        "intervals of the risk that hold within each group; `riskml score` then uses them",
    )
    _groups(parser)
    parser.add_argument(
        "--stability",
        type=_whole,
        default=0,
        metavar="N",
        help="also learn N refits on other draws of the households, so that `riskml score` can say which main reasons "
        "are uncertain (20 are enough; each takes the time of one booster)",
    )
    _jobs(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model bundles")
    _seed(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _model(parser, required=True)
    parser.add_argument(
        "--test-from",
        type=_date,
        required=True,
        metavar="DATE",
        help="first as-of date of the test; must lie after all the model learned from",
    )
    _groups(parser)
    _table_out(parser, required=False, help="file for the table of --groups, .parquet or .csv")
    parser.add_argument(
        "--tables",
        type=Path,
        metavar="DIR",
        help="folder for all tables as CSV: figures, targeting, concentration, decision, calibration, groups",
    )
    _every_months(parser)
    _seed(parser)


def _recalibrate(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _model(parser, required=True)
    parser.add_argument(
        "--until", type=_date, required=True, metavar="DATE", help="use only what was known before this day"
    )
    parser.add_argument(
        "--without-outcomes",
        action="store_true",
        help="move the level to the base rate that the features of that day speak for; right only where nothing but "
        "the base rate has moved",
    )
    _every_months(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model bundles")


def _score(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _model(parser, required=True)
    parser.add_argument("--as-of", type=_date, required=True, metavar="DATE", help="the day the question is asked")
    parser.add_argument("--top", type=_whole, metavar="N", help="only the N households at highest risk")
    parser.add_argument(
        "--explain",
        choices=("top", "all", "none"),
        default="all",
        help="reasons for every household written (all), for none, or: write the whole cohort with reasons for the "
        "N of --top (top)",
    )
    parser.add_argument(
        "--causes",
        choices=("sum", "players"),
        default="sum",
        help="points of a cause: what its features get, summed (default), or what it gets as one player, so that a "
        "cause of many features is not favoured; where the two put another cause first, the reason says so",
    )
    parser.add_argument(
        "--cliff",
        type=_table_name,
        metavar="FILE",
        help="also write the households whose support ends within three months, on the list or not, those at highest "
        "risk net of assistance first",
    )
    _jobs(parser)
    _table_out(parser)


def _outlook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        type=_input,
        metavar="DATA",
        help="folder of monitoring tables (with --model and --as-of), or everybody scored, as `riskml score` wrote "
        "them (with --backtest)",
    )
    _model(parser, required=False)
    parser.add_argument("--as-of", type=_date, metavar="DATE", help="the day the question is asked")
    parser.add_argument(
        "--exceeds",
        type=_open_share,
        default=0.05,
        metavar="SHARE",
        help="share of an area's households whose return is feared (default 0.05)",
    )
    parser.add_argument(
        "--alarm-at",
        type=_open_share,
        default=0.5,
        metavar="PROBABILITY",
        help="raise the alarm where more than that share returns with this probability (default 0.5)",
    )
    parser.add_argument(
        "--levels",
        type=_levels,
        metavar="NAME:N,...",
        help="levels of areas, largest first, and how many characters of the code name them, as county:6,village:12 "
        "(default: those of the official codes)",
    )
    parser.add_argument(
        "--backtest",
        type=_table_name,
        metavar="FILE",
        help="predictions of earlier dates: read if the file is there, else made (a model a year) and written to it",
    )
    _every_months(parser)
    _table_out(parser)
    _seed(parser)


def _effects(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("--measures", type=_input, metavar="CSV", help="the measures to ask about (default: all given)")
    parser.add_argument("--horizon-months", type=_whole, default=12, metavar="N", help="months ahead (default 12)")
    parser.add_argument(
        "--window-months",
        type=_whole,
        default=1,
        metavar="N",
        help="months from each date on in which a start counts (default 1; longer windows let in more hidden reasons)",
    )
    parser.add_argument(
        "--outcome", choices=("welfare", "status", "deprivation"), default="welfare", help="what decides"
    )
    parser.add_argument(
        "--rule", choices=("at_horizon", "any"), default="at_horizon", help="when it counts as a return"
    )
    parser.add_argument(
        "--every-months", type=_whole, default=1, metavar="N", help="months between as-of dates (default 1)"
    )
    parser.add_argument(
        "--groups",
        type=_names,
        default=[],
        metavar="COLUMN,...",
        help="also state effects by these columns of the feature table or the cohort, as in `riskml evaluate --groups`",
    )
    _table_out(parser)
    parser.add_argument(
        "--measures-out",
        type=_table_name,
        metavar="FILE",
        help="also write the table of --measures with the effects that could be estimated, their interval and source",
    )
    _seed(parser)


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("watchlist", type=_table, metavar="WATCHLIST", help="what `riskml score` wrote")
    parser.add_argument("--measures", type=_input, required=True, metavar="CSV", help="the measures on offer")
    money = parser.add_mutually_exclusive_group(required=True)
    money.add_argument("--budget", type=_amount, metavar="N", help="money to spend")
    money.add_argument(
        "--budgets", type=_input, metavar="CSV", help="money by source and area instead: source, area_id, amount"
    )
    parser.add_argument(
        "--floors",
        type=_input,
        metavar="CSV",
        help="what groups must get: condition, area_id, households or money_share",
    )
    parser.add_argument(
        "--max-measures", type=_whole, default=1, metavar="N", help="measures a household may get (default 1)"
    )
    parser.add_argument(
        "--data", type=_input, metavar="DIR", help="the tables, so that nobody gets what the household has already"
    )
    parser.add_argument(
        "--welfare-weight",
        type=_amount,
        default=0.0,
        metavar="ETA",
        help="weigh returns averted by welfare (in poverty lines) to the power -ETA, more for the poorer; needs --data "
        "(default 0: all alike)",
    )
    parser.add_argument(
        "--previous",
        type=_table,
        metavar="PLAN",
        help="an earlier plan with decisions: approved rows stay and use their budget, refused ones are not proposed "
        "again, texts are kept",
    )
    parser.add_argument(
        "--limits", type=_table_name, metavar="FILE", help="also write the use and shadow price of every limit"
    )
    _table_out(parser)


def _stress(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _model(parser, required=True)
    parser.add_argument(
        "--scenario", type=_input, required=True, metavar="TOML", help="the imagined event (docs/stress.md)"
    )
    parser.add_argument("--as-of", type=_date, required=True, metavar="DATE", help="the day the question is asked")
    parser.add_argument(
        "--measures", type=_input, metavar="CSV", help="the measures on offer: find the budget that would hold the rate"
    )
    parser.add_argument(
        "--top", type=_whole, metavar="N", help="length of the list without the event (default a tenth of all)"
    )
    parser.add_argument(
        "--area-digits", type=_whole, metavar="N", help="first characters of area codes that make an area (default all)"
    )
    parser.add_argument(
        "--tables", type=Path, metavar="DIR", help="folder for all tables as CSV: areas, causes, edits, outside, budget"
    )
    _seed(parser)
    _table_out(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watchlist", type=_table, required=True, metavar="FILE", help="what `riskml score` wrote")
    parser.add_argument(
        "--top",
        type=_whole,
        metavar="N",
        help="the list is the first N of FILE, which holds everybody scored (`riskml score --top N --explain top`); "
        "say how sure it is and where to go and look",
    )
    parser.add_argument("--plan", type=_table, metavar="FILE", help="what `riskml plan` wrote")
    parser.add_argument("--outlook", type=_table, metavar="FILE", help="what `riskml outlook` wrote, for whole areas")
    parser.add_argument("--limits", type=_table, metavar="FILE", help="with --plan: what `riskml plan --limits` wrote")
    _model(parser, required=False)
    parser.add_argument("--data", type=_input, metavar="DATA", help="the tables, for the records behind the reasons")
    parser.add_argument(
        "--cliff",
        type=_table,
        metavar="FILE",
        help="what `riskml score --cliff` wrote: support that ends soon, also of households not on the list (default: "
        "those on the list)",
    )
    parser.add_argument(
        "--groups",
        type=_table,
        metavar="FILE",
        help="what `riskml evaluate --groups` wrote, to say whom the list misses (default: as the model's card says)",
    )
    parser.add_argument(
        "--letter",
        metavar="HOUSEHOLD_ID",
        help="instead, write the explanation for one household of the list: data used, what weighed, who decides, how "
        "to object (needs --model, --data and --contact)",
    )
    parser.add_argument("--contact", metavar="TEXT", help="of --letter: office, address, telephone to turn to")
    parser.add_argument(
        "--audit",
        action="store_true",
        help="instead, for who examines the model: a table of the records behind every cause named, sensitive traits "
        "spelled out (needs --model and --data; .parquet or .csv)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("previous", type=_table, metavar="PREVIOUS", help="the earlier watchlist")
    parser.add_argument("current", type=_table, metavar="CURRENT", help="the later watchlist")
    parser.add_argument("--top", type=_whole, metavar="N", help="length of the list (default all rows)")
    parser.add_argument(
        "--data", type=_input, metavar="DIR", help="with --model: say exactly what moved each risk, from these tables"
    )
    _model(parser, required=False)
    parser.add_argument("--model-before", type=_input, metavar="DIR", help="the model of PREVIOUS, if it was another")
    _table_out(parser, required=False)


def _size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--households", type=_whole, default=3000, metavar="N", help="how many (default 3000)")
    parser.add_argument("--months", type=_whole, default=48, metavar="N", help="how many (default 48)")
    _seed(parser)


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=_input, metavar="DATA", help="folder of monitoring tables")


def _model(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--model", type=_input, required=required, metavar="DIR", help="a model bundle or a folder of them (the newest)"
    )


def _every_months(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every-months", type=_whole, default=3, metavar="N", help="months between as-of dates (default 3)"
    )


def _groups(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--groups",
        type=_names,
        default=[],
        metavar="COLUMN,...",
        help="also say whom the list misses, by columns of the feature table or the cohort and their combinations: "
        "area_id:4 is the first four characters of the area's code, welfare:1.25/1.5 cuts numbers at these values, "
        "sensitive is every sensitive feature",
    )
    parser.add_argument(
        "--quota",
        type=_below_one,
        default=0.1,
        metavar="SHARE",
        help="length of the list, as a share of the households (default 0.1)",
    )


def _jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", type=_whole, default=1, metavar="N", help="of a store, buckets at the same time (default 1)"
    )


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")


def _table_out(
    parser: argparse.ArgumentParser, *, required: bool = True, help: str = "file to write, .parquet or .csv"
) -> None:
    parser.add_argument("--out", type=_table_name, required=required, metavar="FILE", help=help)


def _date(text: str) -> str:
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        _refuse(f"'{text}' is not a day; write it as 2024-12-01", f"“{text}”不是日期，请写成 2024-12-01")


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        _refuse(f"'{text}' is not a whole number of at least 1", f"“{text}”不是大于等于1的整数")
    return int(text)


def _amount(text: str) -> float:
    if not re.fullmatch(r"\d{1,15}(\.\d+)?", text):
        _refuse(f"'{text}' is not an amount; write it as 500000", f"“{text}”不是金额，请写成 500000")
    return float(text)


def _share(text: str) -> float:
    if not re.fullmatch(r"\d{0,3}(\.\d+)?|1", text) or not text or not 0 < float(text) <= 1:
        _refuse(f"'{text}' is not a share above 0 and at most 1", f"“{text}”不是大于0且不大于1的比例")
    return float(text)


def _below_one(text: str) -> float:
    share = _share(text)
    if share == 1:
        _refuse(
            "a list of everybody misses nobody; give a share below 1",
            "名单包括所有住户时不会漏掉任何人，请给出小于1的比例",
        )
    return share


def _open_share(text: str) -> float:
    share = _share(text)
    if share == 1:
        _refuse("1 is reached by nothing; give a number below 1", "没有什么能达到1，请给出小于1的数")
    return share


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names or len(set(names)) < len(names):
        _refuse(
            f"'{text}' is not a list of columns; write it as area_id:4,head_female",
            f"“{text}”不是列名清单，请写成 area_id:4,head_female",
        )
    return names


def _levels(text: str) -> dict[str, int]:
    levels: dict[str, int] = {}
    for part in text.split(","):
        name, colon, length = part.partition(":")
        if not name or not colon or name in levels or not re.fullmatch(r"[1-9]\d?", length):
            _refuse(
                f"'{text}' is not a list of levels; write it as county:6,township:9,village:12",
                f"“{text}”不是地区层级，请写成 county:6,township:9,village:12",
            )
        levels[name] = int(length)
    return levels


def _input(text: str) -> Path:
    if not Path(text).exists():
        _refuse(f"there is no file or folder '{text}'", f"找不到文件或文件夹“{text}”")
    return Path(text)


def _source(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        _input(text)
    return text


def _table(text: str) -> Path:
    _table_name(text)
    return _input(text)


def _table_name(text: str) -> Path:
    if Path(text).suffix not in (".parquet", ".csv"):
        _refuse(f"'{text}' must end in .parquet or .csv", f"“{text}”须以 .parquet 或 .csv 结尾")
    return Path(text)


def _refuse(en: str, zh: str) -> NoReturn:
    raise argparse.ArgumentTypeError(in_words(en, zh))


_DESCRIPTION = (
    "Which households are likely to fall back into poverty, why, what help fits, how far to trust the answer."
)

_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("the whole story on a simulated county", _demo),
    "simulate": ("write the tables of a simulated county", _simulate),
    "convert": ("write the monitoring tables of a household survey, from its own files", _convert),
    "import": ("cluster tables of any size into a store, for score (docs/large.md)", _import),
    "check": ("say what is odd in monitoring tables (data that must not be used are refused by every command)", _check),
    "train": ("learn the risk from monitoring tables and write a model bundle", _train),
    "evaluate": ("put a model and simple rivals in one table, out of time, with intervals", _evaluate),
    "recalibrate": (
        "bring a model's level of risk up to the newest outcomes, without learning new trees",
        _recalibrate,
    ),
    "score": ("write the watchlist of a date", _score),
    "effects": ("say what past help did about return, with its doubts, or why that cannot be told", _effects),
    "plan": ("assign measures to a watchlist within budgets, places and floors", _plan),
    "outlook": ("say how many households of each area may return, and where to raise the alarm", _outlook),
    "stress": ("say what an imagined event would do: to whom, where, through which causes, at what cost", _stress),
    "report": ("write a watchlist as one HTML file to read and print", _report),
    "changes": ("say what is new since the previous watchlist, and why", _changes),
}
