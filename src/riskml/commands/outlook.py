"""The subcommand that looks at whole areas: outlook."""

from __future__ import annotations

import argparse

import pandas as pd

from riskml.commands.models import outcome_of
from riskml.files import read_table, write_table
from riskml.findings import in_words, language
from riskml.model.store import load_model
from riskml.outlook.alarms import alarm_table, alarms
from riskml.outlook.areas import area_outlook
from riskml.outlook.backtests import backtest_outlooks, backtest_predictions, coverage_table
from riskml.outlook.hierarchy import WHOLE, level_label
from riskml.outlook.shocks import Shocks, learn_shocks
from riskml.output.report_text import TEXT
from riskml.steps import Answer, Tell, features_on, read, records, risks_of_areas
from riskml.tables.monitoring import Monitoring

#: What a file of predictions of earlier dates must have.
_BACKTEST = ("household_id", "as_of_date", "area_id", "risk", "returned", "horizon_months")
N_SHOWN = 20


def outlook(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say how many households of each area may return, where to raise the alarm, and how good such alarms were."""
    if arguments.data.is_file():
        now, backtest = _from_files(arguments)
    else:
        now, backtest = _from_tables(arguments, tell)
    as_of_date = now["as_of_date"].iloc[0]
    horizon = int(backtest["horizon_months"].iloc[0])
    earlier = backtest[backtest["as_of_date"] + pd.DateOffset(months=horizon) <= as_of_date]
    if earlier.empty:
        raise ValueError(
            in_words(
                f"no prediction of an earlier date had its outcome by {as_of_date:%Y-%m-%d} (horizon {horizon} "
                "months); give a later date or another --backtest",
                f"截至{as_of_date:%Y-%m-%d}，没有任何以往日期的预测已有结果（预测期{horizon}个月）；"
                "请给出更晚的日期或另一个 --backtest",
            )
        )
    tell(in_words("learning how households fall together", "正在估计同一地区住户共同返贫的程度"))
    how = {"horizon_months": horizon, "levels": arguments.levels, "random_state": arguments.seed}
    shocks = learn_shocks(earlier, **how)
    found = area_outlook(now, shocks, exceeds=arguments.exceeds, random_state=arguments.seed)
    found = found.assign(as_of_date=as_of_date, alarm_at=arguments.alarm_at)
    write_table(found, arguments.out)
    tell(in_words("asking the earlier dates", "正在检验以往日期"))
    judged = backtest_outlooks(earlier, exceeds=arguments.exceeds, **{**how, "levels": shocks.levels})
    return _answer(arguments, found, shocks, judged)


def _from_files(arguments: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return everybody scored and the predictions of earlier dates, both from files."""
    for name in ("model", "as_of"):
        if getattr(arguments, name) is not None:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                in_words(
                    f"{arguments.data} is a list of those scored, which has its date and its risks; leave out {option}",
                    f"{arguments.data} 是评分表，已含日期和风险；请去掉 {option}",
                )
            )
    if arguments.backtest is None or not arguments.backtest.exists():
        raise ValueError(
            in_words(
                "from a list of those scored, --backtest must name the predictions of earlier dates that `riskml "
                "outlook FOLDER --backtest FILE` wrote",
                "由评分表生成展望时，--backtest 须为 riskml outlook 文件夹 --backtest 文件 写出的以往日期预测",
            )
        )
    return read_table(arguments.data, required=_BACKTEST[:4]), read_table(arguments.backtest, required=_BACKTEST)


def _from_tables(arguments: argparse.Namespace, tell: Tell) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return everybody at risk with their risk, and the predictions of earlier dates: read, or made and written."""
    for name in ("model", "as_of"):
        if getattr(arguments, name) is None:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                in_words(f"{arguments.data}: a folder of tables needs {option}", f"数据表文件夹还需要 {option}")
            )
    data, model = read(arguments.data, tell), load_model(arguments.model)
    tell(in_words("scoring", "正在评分"))
    X = features_on(data, model, arguments.as_of)
    now = risks_of_areas(data, model, X)
    if arguments.backtest is not None and arguments.backtest.exists():
        return now, read_table(arguments.backtest, required=_BACKTEST)
    return now, _made_backtest(arguments, data, outcome_of(model), tell)


def _made_backtest(arguments: argparse.Namespace, data: Monitoring, outcome: dict, tell: Tell) -> pd.DataFrame:
    months = {"every_months": arguments.every_months, "until": arguments.as_of}
    made = backtest_predictions(data, outcome=outcome, seed=arguments.seed, tell=tell, **months)
    made = made.assign(horizon_months=outcome["horizon_months"])
    if arguments.backtest is not None:
        write_table(made, arguments.backtest)
    return made


def _answer(arguments: argparse.Namespace, found: pd.DataFrame, shocks: Shocks, judged: pd.DataFrame) -> Answer:
    alarmed = alarms(found, at=arguments.alarm_at)
    sentence = in_words("sentence_en", "sentence_zh")
    right = alarm_table(judged, at=[arguments.alarm_at]) if len(judged) else pd.DataFrame({sentence: []})
    held = coverage_table(judged)
    values = {
        "out": str(arguments.out),
        "as_of_date": f"{found['as_of_date'].iloc[0]:%Y-%m-%d}",
        "exceeds": arguments.exceeds,
        "alarm_at": arguments.alarm_at,
        "all": records(found[found["level"] == WHOLE])[0],
        "alarms": records(alarmed),
        "shocks": {"n_periods": shocks.n_periods, "levels": records(shocks.summary())},
        "earlier_alarms": records(right),
        "earlier_coverage": records(held),
    }
    lines = [str(arguments.out), _whole(found), "", _spread(shocks), ""]
    lines += [
        in_words(
            f"Alarms (probability from {arguments.alarm_at:.0%}):", f"预警（概率{arguments.alarm_at:.0%}及以上）："
        )
    ]
    lines += alarmed[sentence].head(N_SHOWN).tolist() or [in_words("No area is alarmed.", "没有地区达到预警标准。")]
    if len(alarmed) > N_SHOWN:
        lines.append(
            in_words(f"... and {len(alarmed) - N_SHOWN} more in the file", f"……其余{len(alarmed) - N_SHOWN}条见文件")
        )
    lines += [
        "",
        in_words("On earlier dates, each seen only with what was known then:", "以往日期（只用当时已知的数据）："),
    ]
    lines += right[sentence].tolist() or [in_words("no earlier date can be judged yet", "尚无可检验的以往日期")]
    if len(held):
        lines += [
            "",
            held.assign(level=[level_label(level, language()) for level in held["level"]])
            .round(3)
            .to_string(index=False),
        ]
    return Answer(values, "\n".join(lines))


def _whole(found: pd.DataFrame) -> str:
    row = found[found["level"] == WHOLE].iloc[0]
    said = TEXT["outlook_whole"][language() == "zh"]
    numbers = f"{row['households']:,}", f"{row['expected']:,.1f}", f"{row['lower_95']:,}", f"{row['upper_95']:,}"
    return said.format(*numbers, f"{100 * row['exceeds']:.3g}", f"{row['probability']:.0%}")


def _spread(shocks: Shocks) -> str:
    rows = shocks.summary().to_dict("records")
    said = [
        f"{level_label(row['level'], language())} {row['median']:.2f} ({row['lower']:.2f}–{row['upper']:.2f})"
        for row in rows
    ]
    return in_words(
        f"Shared shocks, standard deviation in log-odds with 90% interval, learned from {shocks.n_rows:,} predictions "
        f"worth {shocks.n_periods:.1f} horizons without overlap: {', '.join(said)}",
        f"共同冲击的标准差（对数几率，括号内为90%区间），由{shocks.n_rows:,}条以往预测估计，"
        f"相当于{shocks.n_periods:.1f}个不重叠的预测期：{'，'.join(said)}",
    )
