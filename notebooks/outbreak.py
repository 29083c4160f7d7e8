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
# # Could it happen to a whole county?
#
# **中文摘要** 逐户风险回答"哪些户先走访"，本笔记回答另一个问题：一个县、一个乡镇会不会出现规模性返贫？
# 把逐户风险相加只得到平均户数；同一地区的住户往往同时受灾、同时失业，实际户数的波动大得多。
# 这里用以往日期的预测估计"共同冲击"的幅度，给出各乡镇返贫户数的区间和预警，并用模拟县的真实结果检验：
# 按独立相加得到的区间太窄，计入共同冲击的区间较可信。没有先例的灾害仍在区间之外。
#
# A county's office asks: could more than one household in twenty of a township fall back next year, and how sure is
# that? The county is simulated ([docs/simulator.md](../docs/simulator.md)): disasters strike villages and townships,
# labour markets turn, prices collapse; so the outlook can be put beside what came. The method stands in
# [docs/outlook.md](../docs/outlook.md).
#
# It takes about a minute on one core.

# %%
import tomllib
from pathlib import Path

import pandas as pd

import riskml as rk
from riskml.datasets.law import MEASURES, Event
from riskml.datasets.simulate import monitoring_under
from riskml.features.assistance import training_labels
from riskml.outlook.backtests import coverage_table
from riskml.outlook.scenario import scenario_from
from riskml.outlook.shocks import no_shocks

SEED = 5
OUTCOME = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}

# %% [markdown]
# ## Earlier dates, asked again
#
# The records run to the end of 2025 and the question is asked on 1 January 2025, so that the outcome is known to us and
# not to the model. A model is learned every eighteen months from what was known then and asked on the dates after it.

# %%
data = rk.datasets.make_monitoring(800, n_months=60, random_state=SEED)
earlier = rk.backtest_predictions(data, outcome=OUTCOME, every_months=6, refit_months=18)
today = earlier["as_of_date"].max()
known = earlier[earlier["as_of_date"] + pd.DateOffset(months=12) <= today]
earlier.groupby("as_of_date")[["risk", "returned"]].mean().round(3)

# %% [markdown]
# ## How far do neighbours fall together?
#
# Standard deviations of shared shocks in log-odds, with 90 % intervals: 0.3 moves a risk of 5 % to 6.6 % or 3.8 %.
# There are few dates, so little is known of the shocks that hit everybody, and the outlook counts that.

# %%
shocks = rk.learn_shocks(known, horizon_months=12)
print(f"{shocks.n_rows:,} predictions, worth {shocks.n_periods} years without overlap")
shocks.summary().round(2)

# %% [markdown]
# ## The outlook
#
# How many of each township may return, and the probability that it is more than one in twenty.

# %%
now = earlier[earlier["as_of_date"] == today]
outlook = rk.area_outlook(now, shocks, exceeds=0.05)
outlook[outlook["level"] != "village"].round(2)

# %%
for sentence_en, sentence_zh in rk.alarms(outlook, at=0.2)[["sentence_en", "sentence_zh"]].head(5).to_numpy():
    print("-", sentence_en, "\n ", sentence_zh)

# %%
_ = Path("map.svg").write_text(rk.tile_map(outlook, at=0.2), encoding="utf-8")

# %% [markdown]
# ## What came, and what a plain sum would have said
#
# The sum of independent risks has the same mean and a much narrower interval.

# %%
alone = rk.area_outlook(now, no_shocks(shocks.levels), exceeds=0.05)
returned = int(now["returned"].sum())
for name, table in (("shared shocks", outlook), ("independent", alone)):
    row = table.iloc[0]
    print(f"{name}: {row['expected']:.0f} expected, 95% {row['lower_95']} to {row['upper_95']}; {returned} returned")

# %% [markdown]
# One date proves nothing. The same on all dates with an earlier one to learn from:

# %%
judged = {}
for name, independent in (("shared shocks", False), ("independent", True)):
    judged[name] = rk.backtest_outlooks(earlier, horizon_months=12, independent=independent)
pd.concat({name: coverage_table(table) for name, table in judged.items()}).round(2)

# %% [markdown]
# ## Would the alarm have been right?
#
# Over the same dates: how many of the areas where more than one in twenty returned were alarmed, and how many alarms
# were false, for three probabilities from which one might be raised.

# %%
for sentence in rk.alarm_table(judged["shared shocks"])["sentence_en"]:
    print("-", sentence)

# %% [markdown]
# ## And if the help ended?
#
# An outlook fears what has happened before. A scenario asks for something that has not: here all support ended three
# months before today, and its payments with it. The edits go into the tables, through the same features and model.

# %%
past = data.known_by(today)
X, y = rk.training_set(past, rk.training_dates(past, horizon_months=12), horizon_months=12)
labels = training_labels(past, y, **OUTCOME)
model = rk.RiskClassifier().fit(X, y, outcome_welfare=labels["outcome_welfare"])
rk.fit_net(model, X, labels["returned_net"], outcome_welfare=labels["outcome_welfare_net"])
scenario = scenario_from(
    tomllib.loads(
        """
        name = "transfers"
        label_en = "All support ends"
        label_zh = "全部帮扶到期"
        months_ago = 3

        [[part]]
        edits = [
          { kind = "support_ends", paid_in_transfers = ["minimum_income_guarantee", "production_grant"] },
          { kind = "jobs_end", which = "public_post" },
        ]
        """
    )
)
answer = rk.stress(past, model, scenario, as_of_date=today, area_digits=9)
answer.areas.round(3).head(6)

# %%
answer.causes.round(1).head(5)

# %% [markdown]
# The simulated county can live it. Below the line of the same households, a year later, in truth, beside both answers.
# The first model has seen support end and other support follow: that nobody is helped any more stands in no record. The
# second knows what households earn without transfers, and nothing of help in kind or posts. `python
# benchmarks/stress.py` measures this for five kinds of event.

# %%
month = (today.year - data.truth.first_day.year) * 12 + today.month - data.truth.first_day.month
lived = monitoring_under(data.truth, Event(month - scenario.months_ago, ended=tuple(MEASURES)))
households = answer.households["household_id"]
true = {}
for name, truth in (("before", data.truth), ("after", lived.truth)):
    true[name] = truth.risk([today], n_draws=100)["risk"].droplevel("as_of_date").reindex(households).mean()
whole = answer.areas.iloc[0]
first = whole["rate_after"] - whole["from_net"]
print(f"imagined: {whole['rate_before']:.1%} -> {whole['rate_after']:.1%} (by the first model alone {first:.1%})")
print(f"in truth: {true['before']:.1%} -> {true['after']:.1%}")
for warning_en, _ in answer.warnings:
    print("-", warning_en)

# %% [markdown]
# ## What this cannot tell
#
# - Which disaster comes. The outlook says how far shocks of the kinds on file have thrown the numbers; one without
#   precedent is not in the intervals, here or anywhere.
# - Whether a few dates are enough. Dates that overlap are not independent cases, and the figures above rest on few
#   years of one simulated county; `python benchmarks/outlook.py` asks many.
# - Who will return. The number of a township says nothing about a household, and an alarm is a reason to go and look,
#   no finding about anybody.
# - How large an event without precedent would be: the answer of a scenario ranks areas better than it sizes the harm
#   ([docs/stress.md](../docs/stress.md)).
# - What would prevent it. See [docs/planning.md](../docs/planning.md).
