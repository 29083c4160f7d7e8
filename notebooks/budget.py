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
# # A budget for next quarter
#
# **中文摘要** 本笔记编制下一季度的帮扶计划：资金按来源和乡镇划分，名额有限，已享受的措施不重复安排，
# 某一乡镇至少安排若干户。随后回答：计划离最优还有多远、各项限额再增加一单位能多避免多少返贫、哪些住户没有安排
# 以及原因、效果取区间两端时计划如何变化、工作人员审核之后重新编制会怎样。所有费用与效果都是演示用的假定，不是研究结论。
#
# The county has money from two sources, one of them for a single township, and few places. **Who gets what, what would
# one more place be worth, and what happens when people overrule the plan?** The county is simulated; costs and effects
# of measures are assumptions made for the demonstration, and the plan says so in every row. How it is computed:
# [docs/planning.md](../docs/planning.md).
#
# It takes about half a minute on one core.

# %%
import pandas as pd

import riskml as rk
from riskml.planning.assist import make_plan, plan_summary
from riskml.planning.measures import example_measures
from riskml.planning.received import received_on
from riskml.planning.sensitivity import n_changed, plan_sensitivity

SEED = 11
HORIZON_MONTHS = 12

# %% [markdown]
# ## Need
#
# A list of the households at highest risk on the day the plan is made, with the points of each cause, and what they
# receive already, as the office knew it that day.

# %%
data = rk.datasets.make_monitoring(1000, n_months=42, random_state=SEED)
today = pd.Timestamp("2023-06-01")
then = data.known_by(today)
X, y = rk.training_set(
    then, rk.training_dates(then, horizon_months=HORIZON_MONTHS, every_months=6), horizon_months=HORIZON_MONTHS
)
welfare = rk.outcome_welfare(then, X.index, horizon_months=HORIZON_MONTHS)
model = rk.RiskClassifier(horizon_months=HORIZON_MONTHS, random_state=SEED, n_jobs=1)
model.fit(X, y, outcome_welfare=welfare)
why = rk.explain(model, rk.feature_table(then, [today]))
areas = rk.cohort(then, [today])["area_id"].reindex(why.risk.index).to_numpy()
need = rk.watchlist(why.risk, why, areas=areas, n=200)
received = received_on(data, today)
print(f"{len(need)} households, {need['risk'].sum():.1f} expected to return; help that runs in the county today:")
received["measure"].value_counts()

# %% [markdown]
# ## Measures and money
#
# A measure says which budget pays for it. The budget named *health* pays only for health assistance; the other pays for
# anything, and of it at most 25,000 may go to the first township.

# %%
measures = example_measures()
measures["source"] = measures["measure"].map({"health_assistance": "health"}).fillna("general")
townships = need["area_id"].str[:9]
first, last = townships.min(), townships.max()
budgets = pd.DataFrame(
    {"source": ["health", "general", "general"], "area_id": ["", "", first], "amount": [12_000, 90_000, 25_000]}
)
floors = pd.DataFrame({"condition": [""], "area_id": [last], "households": [6]})
asked = {"budget": budgets, "floors": floors, "received": received, "max_measures": 2}
plan = make_plan(need, measures, **asked)
plan_summary(plan.table)[["measure", "not_funded", "households", "cost", "expected_points"]].round(2)

# %% [markdown]
# No plan within the same limits averts much more, by the same effects: the gap is proved.

# %%
print(f"{plan.value:.3f} returns averted; the best plan may avert {plan.bound:.3f}: a gap of {plan.gap:.4%}")
assert plan.gap < 0.01

# %% [markdown]
# ## What one more would avert
#
# The shadow price of a limit: what one more unit of money or one more place would add if the plan were made again. Per
# 10,000 of money, and per place; a floor's is what it costs to ask for one household more.

# %%
prices = plan.limits.assign(of="per unit")
money = prices["limit"] == "budget"
prices.loc[money, "shadow_price"] *= 10_000
prices.loc[money, "of"] = "per 10,000"
prices[["limit", "source", "measure", "area_id", "amount", "used", "shadow_price", "of"]].round(4)

# %% [markdown]
# Is that so? We plan with 10,000 more in the general budget and compare.

# %%
more = budgets.assign(amount=budgets["amount"] + [0, 10_000, 0])
gained = make_plan(need, measures, **{**asked, "budget": more}).value - plan.value
print(f"by the price {prices['shadow_price'].iloc[1]:.4f}, planned again {gained:.4f}")

# %% [markdown]
# ## Who was left out
#
# Every household of the list has a row, and those without a measure the reason. The three at highest risk:

# %%
left_out = plan.table[plan.table["not_funded"] != ""].merge(need[["household_id", "rank", "risk"]], on="household_id")
print(left_out["not_funded"].value_counts().to_string())
left_out.sort_values("rank")[["household_id", "rank", "risk", "not_funded"]].head(3).round(2)

# %% [markdown]
# ## If the effects were others
#
# The effects have intervals. The plan is made again with all of them at the lower, then at the upper end.

# %%
plan_sensitivity(plan, need, measures, **asked).round(2)

# %% [markdown]
# ## People decide
#
# An officer approves the first two proposals and refuses the third, with a reason. Made again, the plan keeps the
# approved rows and their money, does not propose the refused pair again, and keeps what was written.

# %%
reviewed = plan.table.copy()
proposed = reviewed.index[reviewed["measure"] != ""]
reviewed.loc[proposed[:2], ["decision", "reviewer"]] = ["approved", "Wang"]
reviewed.loc[proposed[2], ["decision", "reviewer", "reason"]] = ["refused", "Wang", "a son has returned and works"]
again = make_plan(need, measures, previous=reviewed, **asked)
print(f"{n_changed(plan.table, again.table)} households changed")
written = again.table[again.table["reviewer"] != ""]
assert len(written) == 3
written[["household_id", "measure", "formerly", "cost", "decision", "reason"]]

# %% [markdown]
# ## What this cannot tell
#
# - **Whether the measures help.** The effects are put in, not found: here they are assumptions. A figure of returns
#   averted is as good as the source of the effect beside it, and the gap says only that the arithmetic was done well.
# - Who would gain most from help. The same share is taken of every household's points; need is not effect.
# - What is fair. Floors and welfare weights are choices of the people who answer for the plan; the plan only says what
#   they cost. It cannot know rights: what a household is entitled to does not depend on it.
# - What happens after the quarter, to neighbours, or to those the office does not know.
