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
# # Why is this household on the list?
#
# **中文摘要** 本笔记针对名单上的一户，依次说明：模型给出的原因、原因所依据的记录、哪些是帮扶可以改变的、
# 首要原因是否稳定、风险如何随时间变化、与上月相比变了什么、可以交给住户的告知书。
# 数据为模拟县，因此可以把模型的说法与"真相"对照：
# 去掉某类冲击后这户是否仍会返贫、给予某项帮扶后又会如何。最后在真实的阿根廷住户调查（EPH）上做同样的说明
# （没有数据时跳过）。
# 结论：百分点说明评分依据哪些记录，不说明起因，也不说明帮扶的效果。
#
# An officer stands at a door with a list in hand. This notebook follows one household: **why is it on the list, what
# is on file, what has changed, and what may it be told?** The county is simulated, so that what the model says can be
# put beside what truly brought the household down ([docs/simulator.md](../docs/simulator.md)). How explanations are
# computed stands in [docs/explanations.md](../docs/explanations.md).
#
# It takes less than a minute on one core.

# %%
import os
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

import riskml as rk
from riskml.output import plots

SEED = 7
HORIZON_MONTHS = 12

# %% [markdown]
# ## A list
#
# The question is asked a year before the records end, so that the outcome is known to us, and not to the model: it
# learned only from what was known on that day.

# %%
data = rk.datasets.make_monitoring(1200, n_months=42, random_state=SEED)
today = pd.Timestamp("2023-06-01")
then = data.known_by(today)
dates = rk.training_dates(then, horizon_months=HORIZON_MONTHS, every_months=6)
X, y = rk.training_set(then, dates, horizon_months=HORIZON_MONTHS)
welfare = rk.outcome_welfare(then, X.index, horizon_months=HORIZON_MONTHS)
model = rk.RiskClassifier(horizon_months=HORIZON_MONTHS, random_state=SEED, n_jobs=1)
model.fit(X, y, outcome_welfare=welfare)
why = rk.explain(model, rk.feature_table(then, [today]))
listed = rk.watchlist(why.risk, why, n=100)
listed[["rank", "household_id", "risk", "cause_1", "cause_2"]].head(5)

# %% [markdown]
# We follow the first household of the list that truly returned, and for which a shock of one kind made the
# difference: without it, the simulator says, it would not have returned.

# %%
index = pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]])
needed = data.truth.shocks(index, horizon_months=HORIZON_MONTHS)
shocked = needed[needed.drop(columns="income").sum(axis=1) > 0]
one = shocked.index[:1]
household = one[0][0]
row = listed.set_index("household_id", drop=False).loc[household]
print(f"{len(needed)} of the {len(listed)} listed returned; {len(shocked)} of them would not have without some shock")
print(row["reason_en"])
print(row["reason_zh"])

# %% [markdown]
# ## What the score rests on
#
# From the risk where every household starts to the risk of this one, a step for what the records are about.

# %%
_ = plots.plot_household(row).set_title(f"Household {household}")

# %% [markdown]
# Behind the words stand records. Those that help can change come first on a card; what help cannot change (ages, the
# number of members) is to be known when choosing help.

# %%
evidence = why.take(one).evidence(then)
reach = rk.points_in_reach(why).loc[one[0]] * 100
print(f"on records help can act on: {reach['points_actionable']:+.1f} points; on others: {reach['points_fixed']:+.1f}")
shown = evidence.sort_values("actionable", ascending=False, kind="stable").groupby("reason_en", sort=False).head(2)
shown[["actionable", "cause", "reason_en", "table", "date", "end", "known_on", "value"]]

# %% [markdown]
# ### Is the main reason sure?
#
# Two questions put it to the test. Would the same cause come first if the model had learned from other households of
# this county? And if causes were counted as wholes, so that one with twenty features is not favoured?

# %%
tested = rk.with_refits(model, X, y, n_refits=5, outcome_welfare=welfare, random_state=SEED)
everyone = rk.explain(tested, why.X)
stable = rk.cause_stability(everyone)
as_players = rk.explain(model, why.X, causes="players").top_causes(1)["cause_1"]
print(f"first cause here: {stable.at[one[0], 'first_cause']}; as players: {as_players[one[0]]}")
print(f"stays first in {stable.at[one[0], 'share_first']:.0%} of {len(tested.refits_)} refits")
for whom, rows in {"on the list": index, "of all at risk": why.X.index}.items():
    uncertain = (stable["share_first"][rows] < 0.5).mean()
    other = (as_players[rows] != stable["first_cause"][rows]).mean()
    print(f"{whom}: main reason uncertain for {uncertain:.0%}, another one as players for {other:.0%}")
least = stable["share_first"].sort_values(kind="stable").index[:1]
print("least sure:", everyone.take(least).reasons()["reason_en"].iloc[0])

# %% [markdown]
# What its strongest causes add alone (on the diagonal) and in pairs, in points.

# %%
pairs = why.take(one).interactions("points").droplevel([0, 1]) * 100
strongest = pairs.sum(axis=1).abs().sort_values(ascending=False, kind="stable").index[:4]
pairs.loc[strongest, strongest].round(2)

# %% [markdown]
# ## Beside the truth
#
# Would it have returned without the shocks of a cause (1: it needed them)? The model could not know shocks that came
# after the day; it can name what was already on file.

# %%
causes = pd.DataFrame({"needed": needed.loc[one[0]], "points": why.in_points().loc[one[0]] * 100}).dropna()
causes["named"] = [cause in set(row[["cause_1", "cause_2", "cause_3"]]) for cause in causes.index]
causes.sort_values("points", ascending=False).round(1)

# %% [markdown]
# And over all listed households that returned: how often did a cause that was needed stand among the three named, and
# how often did one that was not?

# %%
named = why.take(needed.index).top_causes()
said = pd.DataFrame({cause: (named == cause).any(axis=1) for cause in needed})
for question, of in (("needed", needed == 1), ("not needed", needed == 0)):
    print(f"causes {question}: {int(of.to_numpy().sum())}, of them named: {said.to_numpy()[of.to_numpy()].mean():.0%}")

# %% [markdown]
# ### What help would have done
#
# Points are not effects. The simulator can give this household a measure on the day and live its months again; 0 means
# that it would then not have returned.

# %%
under = data.truth.outcome_under(one, horizon_months=HORIZON_MONTHS)
under.T.set_axis(["returned with it"], axis=1)

# %% [markdown]
# ## How the risk went
#
# The same model, asked on the first of each month. Above: when records other than incomes arrived. On grey days the
# household was not at risk, because its income was already below the line or not known. The months after the day of the
# list are hindsight.

# %%
months = pd.date_range("2022-07-01", "2024-01-01", freq="MS")
history = rk.risk_history(data, model, household, months)
ax = plots.plot_risk_history(history)
_ = ax.axvline(today, color=plots.LEVEL, linewidth=1)
_ = ax.set_title(f"Household {household}; the line: the day of the list", pad=12)

# %% [markdown]
# ## What changed since last month
#
# New records, the passing of time and a changed line are told apart exactly.

# %%
last_month = today - pd.DateOffset(months=1)
X_before = rk.feature_table(then, [last_month])
change = rk.explain_change(model, X_before, why.X, data=then)
if household in change.risk_now.index:
    print((change.by_step().loc[household] * 100).round(1).to_dict())
    print(*change.reasons(then).loc[household], sep="\n")
else:
    print(f"{household} was not at risk a month before: it is new in the cohort.")

# %% [markdown]
# ## What matters over all households
#
# One point a household and feature; and one feature against what it adds, with the direction it may go.

# %%
_ = plots.plot_overall(why, max_features=8)

# %%
_ = plots.plot_dependence(why, "medical_out_of_pocket_sum_12m")

# %% [markdown]
# ## What the household may be told
#
# A letter says which data were used, what weighed, who decides and how to object; nothing of others, no promise.

# %%
rk.write_letter(
    "letter.html",
    listed,
    household,
    contact="Monitoring Office, Example County\nTel. 000-1234",
    evidence=evidence,
    used=rk.data_used(then, model, household, today),
    dictionary=model.dictionary_,
)
print(f"letter.html, {Path('letter.html').stat().st_size / 1e3:,.0f} kB")

# %% [markdown]
# ## The same on a real survey
#
# Argentina's EPH (see [eph.py](eph.py) for what it can and cannot say), one household in ten, where its files are at
# hand.

# %%
HERE = Path(__file__).parent if "__file__" in globals() else Path.cwd()
EPH = Path(os.environ.get("RISKML_DATA", HERE / "../../shared/data")) / "eph"


def of_households(data: rk.Monitoring, chosen: pd.Index) -> rk.Monitoring:
    """Return the monitoring tables of some households."""
    tables = {
        name: table if name == "lines" else table[table["household_id"].isin(chosen)]
        for name, table in data.tables.items()
    }
    return rk.Monitoring(
        tables, welfare_months=data.welfare_months, max_age_months=data.max_age_months, features=data.features
    )


if EPH.is_dir():
    survey = rk.datasets.load_eph(EPH)
    tenth = survey.household_ids[[zlib.crc32(name.encode()) % 10 == 0 for name in survey.household_ids]]
    survey = of_households(survey, tenth)
    asked = pd.Timestamp("2018-10-01")
    known = survey.known_by(asked)
    quarters = pd.date_range("2016-07-01", "2017-07-01", freq="QS")
    X_eph, y_eph = rk.training_set(known, quarters, horizon_months=HORIZON_MONTHS)
    meaning = rk.feature_dictionary((*rk.STANDARD, *survey.features))
    welfare_eph = rk.outcome_welfare(known, X_eph.index, horizon_months=HORIZON_MONTHS)
    eph_model = rk.RiskClassifier(dictionary=meaning, horizon_months=HORIZON_MONTHS, n_jobs=1)
    eph_model.fit(X_eph, y_eph, outcome_welfare=welfare_eph)
    eph_why = rk.explain(eph_model, rk.feature_table(known, [asked])[list(eph_model.feature_names_in_)])
    eph_list = rk.watchlist(eph_why.risk, eph_why, n=20)
    for sentence_en, sentence_zh in eph_list[["reason_en", "reason_zh"]].head(3).to_numpy():
        print("-", sentence_en, sentence_zh)
    _ = plots.plot_household(eph_list.iloc[0]).set_title("A household of the EPH")
    assert np.allclose(eph_why.in_points().sum(axis=1) + eph_why.base_risk, eph_why.risk, rtol=0, atol=1e-9)
else:
    print(f"The EPH is not at {EPH}: this part is skipped (docs/real-panels.md says where it comes from).")

# %% [markdown]
# ## What this cannot tell
#
# - What brought a household down. Points say which records the score rests on; here the truth could be asked, and a
#   cause that was needed is often not the one that weighed, since much of what happens comes after the day.
# - What help would change. The simulator could be asked that too; a real county cannot.
# - What nobody recorded. A household without records has a short explanation and may be in trouble all the same.
# - Whether somebody should be helped. The list ranks visits; a person looks, decides, and writes the decision down.
