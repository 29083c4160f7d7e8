# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A real panel: Argentina's EPH into the crisis of 2018
#
# **中文摘要** 本笔记用阿根廷常住户调查（EPH）的真实数据回答：在贫困率上升之前训练的模型，能否比简单方法更
# 早找到后来返贫的家庭？
# 贫困线用官方地区标准；训练只用2018年10月1日之前已知的数据，检验用其后的住户（与训练住户不重复），并给出区
# 间。
# 结论：排序在形势变化中基本保持，风险的绝对水平不能保持（返贫率由约8%升到17%），需要用新的结果校准。
# 数据不随本库提供，获取方式见 docs/real-panels.md。
#
# The simulator cannot say how well anything works on people. The EPH of Argentina's statistics office (INDEC) can
# say a little: it visits the same urban households in quarters q, q+1, q+4 and q+5, and there are official lines. In
# 2018 the currency fell, and the share of households that returned below the line within a year doubled. The
# question: **does a list learned before the break still find those who fell in it, better than simple rivals, and
# are its numbers still right?**
#
# The files are not part of this repository; [docs/real-panels.md](../docs/real-panels.md) says where they come from
# and how they are read. Put them into `eph/` of a folder and name that folder in the environment variable
# `RISKML_DATA`. It takes about a minute and a half on one core and three gigabytes of memory. Source: INDEC,
# Encuesta Permanente de Hogares.

# %%
import os
import zlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import riskml as rk
from riskml.output import plots
from riskml.skill.baselines import rivals
from riskml.tables.lines import household_units, welfare_records

HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
FOLDER = Path(os.environ.get("RISKML_DATA", HERE / "../../shared/data")) / "eph"
HORIZON_MONTHS = 12
#: A tenth of the households at risk can be visited.
VISITED_SHARE = 0.1

# %%
data = rk.datasets.load_eph(FOLDER)
for note in data.notes:
    print("-", note)
pd.Series({name: len(table) for name, table in data.tables.items()}, name="rows").to_frame()

# %% [markdown]
# A row of `households` is a visit. Income is that of one month, divided by the region's line of that quarter and by
# adult equivalents: `welfare` 1 is the line, whatever the peso was worth. A visit that did not answer on income has
# no row in `incomes`; it is missing and not zero.
#
# ## Are these the official numbers?
#
# Persons below the line by half-year, beside what INDEC published.

# %%
records, incomes = welfare_records(data), data.versions("incomes")
persons = household_units(data, records["household_id"], records["date"], known_by=records["known_on"])
weight = incomes["weight"] * persons
quarter = pd.PeriodIndex(records["date"], freq="Q")
by_quarter = (weight * (records["welfare"] < 1)).groupby(quarter).sum() / weight.groupby(quarter).sum() * 100
half_year = [f"{period.year}H{(period.quarter + 1) // 2}" for period in by_quarter.index]
rates = by_quarter.groupby(half_year).mean().round(1).to_frame("persons below the line, %")
published = ["2016H2", "2017H1", "2017H2", "2018H1", "2018H2", "2019H1", "2019H2"]
rates["published"] = pd.Series([30.3, 28.6, 25.7, 27.3, 32.0, 35.4, 35.5], index=published)
assert np.allclose(rates["persons below the line, %"][published], rates["published"][published], atol=0.21)
rates

# %% [markdown]
# ## Who falls back?
#
# On the first day of each quarter: the households last seen above the line, and whether the visit four quarters on
# found them below it.

# %%
days = pd.date_range("2016-07-01", "2021-01-01", freq="QS")
at_risk = rk.cohort(data, days)
at_risk["returned"] = rk.outcome_labels(data, at_risk.index, horizon_months=HORIZON_MONTHS)
seen = at_risk.dropna(subset="returned")
print(
    f"{len(at_risk):,} households above the line, {len(seen):,} of them seen a year later, "
    f"{seen['returned'].mean():.1%} below it"
)
band = pd.cut(seen["welfare"], [1, 1.25, 1.5, 2, 3, np.inf], right=False)
seen.groupby(band, observed=True)["returned"].agg(households="size", returned="mean").round(3)

# %%
share = seen.groupby("as_of_date")["returned"].mean()
_, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
ax.plot(share.index, share, "o-", color=plots.DOWN)
ax.axvspan(pd.Timestamp("2016-07-01"), pd.Timestamp("2017-07-01"), color=plots.LEVEL, alpha=0.15, linewidth=0)
ax.axvspan(pd.Timestamp("2018-10-01"), pd.Timestamp("2019-01-01"), color=plots.UP, alpha=0.15, linewidth=0)
ax.set(xlabel="asked on (grey: learned from, red: tested)", ylabel="share below the line a year later", ylim=(0, None))
_ = ax.set_title("The world the model learned from did not last")

# %% [markdown]
# ## Out of time, and other households
#
# Learn from the quarters 2016Q2 to 2017Q2, with outcomes up to 2018Q2: all that was known on 1 October 2018. Test on
# 2018Q3 and 2018Q4, whose outcomes fell in the second half of 2019. No household of the test stands in the training
# rows.
#
# To keep this short, training uses half of the households: those for which the CRC-32 sum of the id is even. That
# rule knows nothing of the household and is the same on every machine. The test uses everybody.

# %%
train_days = pd.date_range("2016-07-01", "2017-07-01", freq="QS")
test_days = pd.date_range("2018-10-01", "2019-01-01", freq="QS")


def of_households(data: rk.Monitoring, chosen: pd.Index) -> rk.Monitoring:
    """Return the monitoring tables of some households."""
    tables = {
        name: table if name == "lines" else table[table["household_id"].isin(chosen)]
        for name, table in data.tables.items()
    }
    return rk.Monitoring(
        tables, welfare_months=data.welfare_months, max_age_months=data.max_age_months, features=data.features
    )


half = data.household_ids[[zlib.crc32(name.encode()) % 2 == 0 for name in data.household_ids]]
past = of_households(data, half).known_by(test_days[0])
X_train, y_train = rk.training_set(past, train_days, horizon_months=HORIZON_MONTHS)
X_test, y_test = rk.training_set(data, test_days, horizon_months=HORIZON_MONTHS)
fresh = ~X_test.index.get_level_values("household_id").isin(X_train.index.unique("household_id"))
X_test, y_test = X_test[fresh], y_test[fresh]
pd.DataFrame(
    {
        "rows": [len(y_train), len(y_test)],
        "returned": [int(y_train.sum()), int(y_test.sum())],
        "share": [round(y_train.mean(), 3), round(y_test.mean(), 3)],
    },
    index=["learned from", "tested on"],
)

# %%
dictionary = rk.feature_dictionary((*rk.STANDARD, *data.features))
welfare = rk.outcome_welfare(past, X_train.index, horizon_months=HORIZON_MONTHS)
model = rk.RiskClassifier(dictionary=dictionary, horizon_months=HORIZON_MONTHS, n_jobs=1)
model.fit(X_train, y_train, outcome_welfare=welfare)
scores = {"riskml": model.predict_risk(X_test)}
for name, rival in rivals().items():
    scores[name] = rival.fit(X_train, y_train).predict_risk(X_test)
model.fit_summary_

# %% [markdown]
# ## Does the ranking hold?
#
# Figures carry survey weights; intervals draw whole agglomerations, because a labour market hits a whole city.

# %%
people = at_risk.loc[X_test.index]
figures = rk.evaluate(
    scores, y_test, sample_weight=people["weight"], clusters=people["area_id"], n_bootstrap=100, random_state=0
)


def with_interval(table: pd.DataFrame, value: str, lower: str, upper: str) -> pd.DataFrame:
    """Return models by figures, each cell a value with its 95 % interval."""
    cells = [f"{v:.3f} ({low:.3f} to {high:.3f})" for v, low, high in table[[value, lower, upper]].to_numpy()]
    wide = table.assign(cell=cells).pivot(index="model", columns="figure", values="cell")
    return wide.loc[table["model"].unique(), table["figure"].unique()]


shown = figures[figures["figure"].isin(["auroc", "average_precision", "recall@5%", "recall@10%", "recall@20%"])]
with_interval(shown, "value", "lower", "upper")

# %% [markdown]
# The model less each rival, on the same draws. Where an interval holds 0 the two cannot be told apart here.

# %%
with_interval(shown[shown["model"] != "riskml"], "difference", "difference_lower", "difference_upper")

# %%
curves = {
    name: rk.targeting_curve(y_test, scores[name], sample_weight=people["weight"])
    for name in ["riskml", "logistic regression", "income ranking", "trigger rules"]
}
_ = plots.plot_targeting_curve(curves).set_title("Who is found by lists of every length")

# %% [markdown]
# ## Do the numbers hold?
#
# They do not, and could not: nothing known in 2018 said that twice as many would fall. The order of the points is
# right, their height is not.

# %%
risk = scores["riskml"]
print(f"mean risk given {risk.mean():.1%}, share that returned {y_test.mean():.1%}")
_ = plots.plot_calibration(rk.calibration_table(y_test, risk)).set_title(
    "Risks from before the break, outcomes after it"
)

# %% [markdown]
# `risk_interval` says how far a level may move within one horizon, judged by how it moved before. Of ten tenths of
# the households, by risk: in how many does the share that returned lie between the mean lower and the mean upper
# bound?

# %%
bounds = model.risk_interval(X_test)
tenth = (risk.rank(method="first") * 10 / (len(risk) + 1)).astype(int) + 1
level = pd.DataFrame({"risk": risk, **bounds, "returned": y_test}).groupby(tenth.rename("tenth by risk")).mean()
level["inside"] = level["returned"].between(level["risk_lower"], level["risk_upper"])
level.round(3)

# %% [markdown]
# A calibration is two numbers, so a few hundred new outcomes are enough to set the level right again without a new
# model. That is what a yearly `riskml train` does for an office; what it cannot do is see the next break coming.
#
# ## What the score rests on
#
# Mean size of the points by cause over the households tested, and the causes of a list of a tenth on 1 October 2018.

# %%
why = rk.explain(model, X_test)
points = why.in_points()
assert np.allclose(points.sum(axis=1) + why.base_risk, why.risk, rtol=0, atol=1e-9)
sizes = pd.DataFrame({"mean size": points.abs().mean(), "mean among those who returned": points[y_test == 1].mean()})
(sizes.sort_values("mean size", ascending=False) * 100).round(2).query("`mean size` > 0")

# %%
first_day = risk.xs(test_days[0], level="as_of_date", drop_level=False)
listed = rk.watchlist(first_day, why, n=round(VISITED_SHARE * len(first_day)))
for sentence in listed["reason_en"].head(3):
    print("-", sentence)
_ = plots.plot_causes(listed).set_title(f"Causes among the first three, {len(listed)} households")

# %% [markdown]
# Income stands first nearly everywhere: the survey records little else that changes from visit to visit. There are
# no medical bills, no disasters, no farms. What a monitoring office keeps could say more.
#
# ## Who is missed
#
# One list of a tenth for everybody. Exclusion error: the share of a group's returns that the list misses.

# %%
groups = {
    "welfare": np.where(X_test["welfare"] < 1.5, "1 to 1.5 lines", "above 1.5 lines"),
    "children": np.where(X_test[["members_0_5", "members_6_15"]].sum(axis=1) > 0, "children under 16", "no children"),
    "head": np.where(X_test["head_female"] == 1, "a woman heads", "a man heads"),
    "place": np.where(people["area_id"].str.startswith("01"), "Greater Buenos Aires", "elsewhere"),
}
missed = pd.concat(
    rk.targeting_errors(
        y_test,
        risk,
        quota=VISITED_SHARE,
        groups=group,
        sample_weight=people["weight"],
        clusters=people["area_id"],
        n_bootstrap=100,
    ).assign(by=name)
    for name, group in groups.items()
)
columns = ["exclusion_error", "exclusion_error_lower", "exclusion_error_upper", "inclusion_error"]
missed.set_index(["by", "group"])[["n", "events", *columns]].round(3)

# %% [markdown]
# A group with a higher exclusion error is missed more often by one list for everybody; a share of the returns says
# nothing about how many households that is, so the counts stand beside it.
#
# ## What this cannot tell
#
# - How a monitoring office would fare. The survey asks one income of one month, four times in a year and a half; an
#   office keeps bills, jobs and measures all the time, and may learn of them late. Here every record counts as known
#   on the last day of its quarter, which is earlier than anybody read these files.
# - Who really fell. The key names a dwelling: in about one pair of visits in eight another family answered.
# - Poverty outside the cities, or over a whole year: the line is compared with the income of one month.
# - The next break. One crisis was tested, at one place in time; intervals over agglomerations do not hold what another
#   crisis would do.
# - What brought a household down, or what help would have changed. Points say what the score rests on.
