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
# # Did the help help?
#
# **中文摘要** 帮扶给了最需要的住户，因此直接比较时，得到帮扶者返贫反而更多，看上去像是帮扶有害。本笔记在模拟县中
# 比较"开始得到帮扶"与"条件相似而未开始"的住户（双重稳健估计），给出区间、重叠情况、不可能受帮扶影响的对照结果，
# 以及需要多强的未记录原因才能推翻结论；再与模拟器的真相对照。结论：只有当影响帮扶和返贫的原因都已记录时，
# 差异才是效果；数据本身无法证明这一点。
#
# Those who are helped return to poverty more often than those who are not. **Did the help harm, or did it go to those
# in need?** The county is simulated, so that the answer can be put beside the truth
# ([docs/effects.md](../docs/effects.md)).
#
# It takes about half a minute on one core.

# %%
import numpy as np
import pandas as pd

import riskml as rk
from riskml.effects.words import effect_sentences

HORIZON_MONTHS = 12
MEASURE = "production_grant"
data = rk.datasets.make_monitoring(1200, n_months=42, random_state=1)
dates = rk.training_dates(data, horizon_months=HORIZON_MONTHS, every_months=1)[6:]

# %% [markdown]
# ## The question
#
# On the first of each month some households at risk start the measure and others do not. Those who do are compared
# with those who were as likely to, by all that had happened before.

# %%
effects = rk.estimate_effects(data, [MEASURE], dates, horizon_months=HORIZON_MONTHS)
print(effect_sentences(effects)["sentence_en"].item())
shown = ["estimand", "by", "group", "n_treated", "difference", "lower", "upper", "naive", "refused_en"]
effects.table[shown].round(3)

# %% [markdown]
# ## What it rests on
#
# How likely a start was for those who started and those who did not; how many were left out because practice hardly
# ever gives the measure to households like them; and welfare of the year before the last, which help that starts now
# cannot change: a difference there would say that the comparison fails.

# %%
effects.overlap.T.round(3)

# %%
effects.controls.round(3)

# %% [markdown]
# ## The truth
#
# The simulator can take the start away from those who had it and let them live again, with new luck of their own.

# %%
trial = effects.trials[MEASURE]
helped = trial.index[trial.treated == 1]
with_, without = (
    data.truth.returned_if(helped, pd.DataFrame({MEASURE: np.full(len(helped), start)}), n_draws=20) for start in (1, 0)
)
pd.Series(
    {
        "without adjustment": trial.naive,
        "estimated": effects.table.loc[0, "difference"],
        "true": (with_ - without).mean(),
    }
).round(3)

# %% [markdown]
# ## Another plan
#
# As many starts each month, given to those at highest risk among those whom practice reaches. How many more returns
# would that have averted than what the office did?

# %%
day = trial.index.get_level_values("as_of_date")
risk = pd.Series(np.where(trial.guesses.propensity >= 0.05, trial.guesses.untreated, -1.0), index=trial.index)
quota = pd.Series(trial.treated, index=trial.index).groupby(day).transform("sum")
chosen = (risk.groupby(day).rank(ascending=False, method="first") <= quota) & (risk >= 0)
plan = trial.index[chosen].to_frame(index=False).assign(measure=MEASURE)
rk.policy_value(effects, plan).round(1)

# %% [markdown]
# ## What this cannot tell
#
# * Whether a reason that nobody recorded moved both the help and the return. The simulator's officers decide by what
#   the records mostly hold; a real office may know more. The E-value says how strong such a reason must be, not
#   whether it is there.
# * What a measure would do for those to whom practice never gives it.
# * What it does against nothing at all: those who did not start it in a month may get it, or other help, in the next.
