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
# # A county: whom to visit, why, and what the list is worth
#
# **中文摘要** 本笔记用模拟县数据走完全部流程：看数据、算特征、用当时已知的数据训练并在其后的日期上与简单方法比较、
# 说明原因、在预算内安排帮扶、列出监测名单、比较两期名单、检查数据是否漂移、生成报告。
# 模拟县的规律由我们设定，因此可以把模型与"真实风险"对照；但在模拟县上表现好，不说明在任何真实地方也好。
# 结论由人作出：名单只排走访的先后。
#
# An office can visit a fixed number of households a month. This notebook asks one question: **would a list made by
# riskml have held more of the households that fell back than the lists an office can make by hand, and can its
# reasons be used?**
#
# The county is simulated. Its law is written down in [docs/simulator.md](../docs/simulator.md), so that we can ask
# what nobody can ask of a real county: what the risk truly was, and what help would truly have changed. How well a
# model does here says nothing about a real place; [eph.py](eph.py) asks the same of a real survey.
#
# It takes about half a minute on one core. Run it as a script, or open it in Jupyter with jupytext.

# %%
from pathlib import Path

import numpy as np
import pandas as pd

import riskml as rk
from riskml.output import plots
from riskml.planning.measures import example_measures
from riskml.skill.baselines import rivals

SEED = 7
HORIZON_MONTHS = 12
#: A tenth of the households at risk can be visited.
VISITED_SHARE = 0.1
#: In the currency of the measures' costs.
BUDGET = 100_000

# %% [markdown]
# ## The tables
#
# 1,500 households over 42 months. With tables of your own the first line is `rk.read_monitoring("folder/")`, and the
# rest stays as it is.

# %%
data = rk.datasets.make_monitoring(1500, n_months=42, random_state=SEED)
pd.Series({name: len(table) for name, table in data.tables.items()}, name="rows").to_frame()

# %% [markdown]
# Every record has two dates: when it happened and when the office learned of it (`known_on`). The second one is what
# keeps a backtest honest: this bill is no part of what was known on a day before its `known_on`.

# %%
bills = data.tables["medical"]
delay = (bills["known_on"] - bills["date"]).dt.days
print(
    f"half of the bills were known {delay.median():.0f} days after treatment, "
    f"one in twenty after more than {delay.quantile(0.95):.0f}"
)
bills[["household_id", "date", "known_on", "cost", "out_of_pocket", "serious"]].head(3)

# %% [markdown]
# `data.check()` lists what looks wrong but does not forbid the work, each rule with the first case, in English and
# Chinese. Errors that would make figures false (an amount without a line, two versions known on one day) are refused
# before this point.

# %%
findings = data.check()
for message in findings.groupby("rule", sort=False)["message_en"].first().head(5):
    print("-", message)
findings.groupby(["severity", "rule"], sort=False)["count"].sum().to_frame()

# %% [markdown]
# ## What was known, and what came of it
#
# The question is asked on a day, the as-of date, of the households that were then registered and not below the line.
# `X` holds what was known of them then, `y` whether their income over the twelve months that followed was below the
# line. Nobody has to filter by date: features see only what was known before the day.

# %%
test_from = "2023-04-01"
X_train, y_train, X_test, y_test = rk.backtest_sets(data, test_from=test_from, horizon_months=HORIZON_MONTHS)
rows = {"train": y_train, "test": y_test}
pd.DataFrame(
    {
        name: {
            "as-of dates": ", ".join(f"{day:%Y-%m}" for day in y.index.unique("as_of_date")),
            "rows": len(y),
            "returned": int(y.sum()),
            "share that returned": f"{y.mean():.1%}",
        }
        for name, y in rows.items()
    }
)

# %% [markdown]
# Training used only what stood in the books on the first test day, its outcomes included. What a column means stands
# in the feature dictionary; a direction of 1 means that the model may only let the risk rise with it.

# %%
meaning = rk.feature_dictionary().set_index("name")
shown = meaning.loc[["welfare", "medical_out_of_pocket_sum_12m", "jobs_ended_3m", "support_ending_3m"]]
shown[["cause", "unit", "direction", "label_en", "label_zh"]]

# %% [markdown]
# ## Is the list worth making?
#
# The model beside what an office can do without it: thresholds on single indicators, the poorest first, a proxy means
# test, vulnerability as expected poverty, a logistic regression. All learn from the same rows and are judged on the
# same later dates. `true risk` is the simulator's own, from the true state on the day: no list can do better in the
# long run, and it too misses many, because part of what will happen has not happened yet.

# %%
# From how far below or above the line households came out, the trees learn more than from yes or no.
known = data.known_by(test_from)
welfare = rk.outcome_welfare(known, X_train.index, horizon_months=HORIZON_MONTHS)
backtest_model = rk.RiskClassifier(horizon_months=HORIZON_MONTHS, random_state=SEED, n_jobs=1)
backtest_model.fit(X_train, y_train, outcome_welfare=welfare)
test_dates = X_test.index.unique("as_of_date")
true_risk = data.truth.risk(test_dates, horizon_months=HORIZON_MONTHS).loc[X_test.index, "risk"]

scores = {"riskml": backtest_model.predict_risk(X_test)}
for name, rival in rivals().items():
    scores[name] = rival.fit(X_train, y_train).predict_risk(X_test)
scores["true risk"] = true_risk

# Shocks hit whole villages, so whole villages are drawn for the intervals.
people = rk.cohort(data, test_dates).loc[X_test.index]
figures = rk.evaluate(scores, y_test, clusters=people["area_id"], n_bootstrap=100, random_state=SEED)


def with_interval(table: pd.DataFrame, value: str, lower: str, upper: str) -> pd.DataFrame:
    """Return models by figures, each cell a value with its 95 % interval."""
    cells = [f"{v:.3f} ({low:.3f} to {high:.3f})" for v, low, high in table[[value, lower, upper]].to_numpy()]
    wide = table.assign(cell=cells).pivot(index="model", columns="figure", values="cell")
    return wide.loc[table["model"].unique(), table["figure"].unique()]


shown = figures[figures["figure"].isin(["auroc", "average_precision", "recall@5%", "recall@10%", "recall@20%"])]
with_interval(shown, "value", "lower", "upper")

# %% [markdown]
# `recall@10%` is the share of those who later returned that a list of a tenth of the households held. Differences
# have intervals of their own (the same villages drawn for both): where an interval holds 0, this county is too small
# to tell the two apart.

# %%
differences = shown[~shown["model"].isin(["riskml", "true risk"])]
with_interval(differences, "difference", "difference_lower", "difference_upper")

# %%
ax = plots.plot_targeting_curve(
    {
        name: rk.targeting_curve(y_test, scores[name])
        for name in ["true risk", "riskml", "income ranking", "trigger rules"]
    }
)
_ = ax.set_title("Who is found by lists of every length")

# %% [markdown]
# Ranking is one thing, the number another. In the next picture each point is a fifth of the households by risk: on
# the dotted line, risks mean what they say. Here they are too high at the top. Fewer households returned than in the
# years the model learned from, and its training dates all lie within one horizon, so that nothing could tell it how
# bold it is on later dates; the model says so itself. A district with two or three years more of records is better
# off. Until then, use the order and not the number.

# %%
calibration = rk.calibration_table(y_test, scores["riskml"], n_bins=5)
print({key: text for key, text in backtest_model.fit_summary_.items() if key.startswith("calibration")})
_ = plots.plot_calibration(calibration).set_title("Do risks mean what they say?")

# %% [markdown]
# The simulator can be asked what the risk truly was. Lists are the same in so far as they hold the same households.

# %%
risk = scores["riskml"]
listed, truly = (score.rank(ascending=False) <= VISITED_SHARE * len(risk) for score in (risk, true_risk))
print(f"rank correlation with the true risk: {risk.corr(true_risk, method='spearman'):.2f}")
print(f"mean distance from it: {(risk - true_risk).abs().mean():.3f}, mean true risk {true_risk.mean():.3f}")
print(f"of the tenth with the highest true risk, {listed[truly].mean():.0%} are in the model's tenth")

# %% [markdown]
# ## Whom does the list miss?
#
# Exclusion error is the share of returns that the list misses, inclusion error the share of the list that does not
# return, both with one cut for everybody. Look at it for every group the office answers for.

# %%
workers = np.where(
    X_test["members_able"] > 0, "households with somebody able to work", "households with nobody able to work"
)
errors = rk.targeting_errors(
    y_test, risk, quota=VISITED_SHARE, groups=workers, clusters=people["area_id"], n_bootstrap=100, random_state=SEED
)
print("\n".join(rk.who_is_missed(errors)))
errors[["group", "n", "events", "exclusion_error", "exclusion_error_lower", "exclusion_error_upper", "inclusion_error"]]

# %%
_ = plots.plot_groups(errors)

# %% [markdown]
# ## What such a list gives, and when a visit pays
#
# The field's figures for the same length of list: the share of what is given that goes to households that do not return
# (leakage), how many times their share of the households those who return and the poorest get (1 is a list drawn by
# lot), and what the list forgoes against one of the poorest, judged by the welfare of the day alone (0 by definition
# for a ranking by income, which does not ask who will fall).

# %%
lists = {name: scores[name] for name in ("riskml", "income ranking", "trigger rules")}
given_by = rk.targeting_summary(lists, y_test, quota=VISITED_SHARE, welfare=X_test["welfare"])
chosen = ["coverage", "leakage", "cgh_returns", "cgh_poorest", "welfare_error"]
given_by.pivot(index="figure", columns="model", values="value").loc[chosen, list(lists)].round(2)

# %%
_ = plots.plot_concentration(
    {name: rk.concentration_curve(X_test["welfare"], score, quota=VISITED_SHARE) for name, score in lists.items()}
)

# %% [markdown]
# Who visits every household above a risk of 10 % says that one return found is worth nine visits in vain. The net
# benefit counts both in returns found per household, beside visiting everybody and nobody.

# %%
worth = rk.decision_curve(
    {"riskml": risk}, y_test, thresholds=[0.02, 0.05, 0.1, 0.2, 0.3], clusters=people["area_id"], n_bootstrap=100
)
_ = plots.plot_decision(worth)
worth.pivot(index="threshold", columns="model", values="net_benefit").round(4)

# %% [markdown]
# ## This month's list
#
# For the list of today the model learns again, now from everything that is known (every half-year, to save time; the
# default is every quarter).

# %%
train_dates = rk.training_dates(data, horizon_months=HORIZON_MONTHS, every_months=6)
X, y = rk.training_set(data, train_dates, horizon_months=HORIZON_MONTHS)
model = rk.RiskClassifier(horizon_months=HORIZON_MONTHS, random_state=SEED, n_jobs=1)
model.fit(X, y, outcome_welfare=rk.outcome_welfare(data, X.index, horizon_months=HORIZON_MONTHS))
# A second model of the same households: would they be below the line without public transfers?
net = {"horizon_months": HORIZON_MONTHS, "net_of_assistance": True}
y_net = rk.outcome_labels(data, X.index, **net)
rk.fit_net(model, X, y_net, outcome_welfare=rk.outcome_welfare(data, X.index, **net))
last_month, today = pd.Timestamp("2024-06-01"), pd.Timestamp("2024-07-01")


def ranked(day: pd.Timestamp) -> tuple[pd.DataFrame, rk.Explanation]:
    """Return all households at risk on a day, ranked and with reasons."""
    now = rk.feature_table(data, [day])
    why = rk.explain(model, now)
    areas = data.area_of(now.index.get_level_values("household_id"))
    beside = {"net": rk.net_risk(model, now), "support": rk.running_support(data, now.index)}
    return rk.watchlist(why.risk, why, areas=areas, intervals=model.risk_interval(now), **beside), why


everybody, why = ranked(today)
n_visits = round(VISITED_SHARE * len(everybody))
listed = everybody.head(n_visits)
listed[["rank", "household_id", "area_id", "risk", "risk_lower", "risk_upper", "cause_1", "cause_2"]].head(8)

# %% [markdown]
# How sure is it who belongs on it? Where the interval of a risk holds the risk at which the list ends, the records
# cannot tell: somebody must go and look.

# %%
sure = rk.go_and_look(everybody, n=n_visits)
print(f"the list ends at a risk of {sure['cut_off'].iloc[0]:.1%}")
sure.groupby(["listed", "standing"]).size()

# %% [markdown]
# ## Who looks safe because of help
#
# Every list shows two risks of the same households: as supported, and net of assistance, that is had the income to do
# without public transfers. Where they lie far apart, a household is above the line because it is helped, and it stands
# low on a list by risk until the help ends. The assistance cliff names those whose support ends within three months.
# "Net" is arithmetic: it takes away all transfers, pensions too, and nobody knows from it what a household would do.

# %%
print(f"mean risk {everybody['risk'].mean():.1%}, net of assistance {everybody['risk_net'].mean():.1%}")
cliff = rk.assistance_cliff(everybody)
off_list = ~cliff["household_id"].isin(listed["household_id"])
print(f"support ends within three months: {len(cliff)} households, {off_list.sum()} of them not on the list")
shown = cliff[["household_id", "measure", "support_ends_on", "risk", "risk_net", "difference"]].head(8)
shown.round({"risk": 3, "risk_net": 3, "difference": 3})

# %% [markdown]
# ## Why
#
# Each risk is split into what every record adds to it or takes from it, summed by cause. The parts add up to the
# number shown.

# %%
first = listed.iloc[0]
print(first["reason_en"])
print(first["reason_zh"])
parts = why.in_points().sum(axis=1)
assert np.allclose(parts + why.base_risk, why.risk, rtol=0, atol=1e-9)
_ = plots.plot_household(first).set_title(f"Household {first['household_id']}")

# %% [markdown]
# Behind the words stand records that an officer can look up: this is what the office had on file, and since when.
# Amounts are in lines: 0.2 of the household's poverty line of a year.

# %%
one = why.take(pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]].head(1)))
records = one.evidence(data)
records[["cause", "reason_en", "table", "date", "known_on", "column", "value"]].groupby("reason_en", sort=False).head(2)

# %%
_ = plots.plot_causes(listed).set_title(f"Causes among the first three, {n_visits} households")

# %% [markdown]
# ### Are these the true causes?
#
# The simulator can live a household's months again without the shocks of one cause, and see whether it would still
# have returned. For each cause, the returns of the test dates that needed its shocks: in how many was it among the
# three causes the backtest model had named on the day the question was asked, and in how many of the other returns
# was it named too?

# %%
why_test = rk.explain(backtest_model, X_test)
shocks = data.truth.shocks(X_test.index[(y_test == 1).to_numpy()], horizon_months=HORIZON_MONTHS)
named = why_test.take(shocks.index).top_causes()
counts = []
for cause in shocks:
    needed, said = (shocks[cause] == 1).to_numpy(), (named == cause).any(axis=1).to_numpy()
    counts.append((cause, needed.sum(), said[needed].mean() if needed.any() else np.nan, said[~needed].mean()))
causes = pd.DataFrame(counts, columns=["cause", "needed", "named where needed", "named where not"]).set_index("cause")
causes.sort_values("needed", ascending=False).round(2)

# %% [markdown]
# Many of these shocks came after the day of the question: no list could name them. A cause that is named about as
# often where it was not needed tells what the score rests on, and nothing of what brought the household down.

# %% [markdown]
# ## What help fits, and what can be paid for
#
# A table of measures says what each costs, whom it is for and what share of the points of its causes it takes away.
# riskml does not know these facts; it ships an example with assumed numbers and says so in every row. The plan gives
# at most one measure a household, within budget and capacity, so that the sum of points taken away is largest.

# %%
measures = example_measures()
plan = rk.match_assistance(listed, measures, budget=BUDGET)
given = plan[plan["measure"] != ""]
print(f"{len(given)} of {len(listed)} households, cost {given['cost'].sum():,.0f} of {BUDGET:,}")
print(f"expected to avert {given['expected_points'].sum():.1f} returns, if the assumed effects hold")
totals = plan.groupby(["label_en", "not_funded"])[["cost", "expected_points"]].sum()
totals.assign(households=plan.groupby(["label_en", "not_funded"]).size()).round(2)

# %% [markdown]
# ### Association is not effect
#
# The simulator can give a household a measure and live its months again. A plan of the same kind, made on the first
# test day with what was known then, and with money for everybody whom a measure fits: what would it truly have
# averted?

# %%
day = test_dates[0]
then = X_test.xs(day, level="as_of_date", drop_level=False)
listed_then = rk.watchlist(why_test.risk.loc[then.index], why_test, n=n_visits)
plan_then = rk.match_assistance(listed_then, measures, budget=np.inf)
simulated = set(data.truth.outcome_under(then.index[:1]).columns)
given_then = plan_then[plan_then["measure"].isin(simulated)]
index = pd.MultiIndex.from_frame(given_then[["household_id", "as_of_date"]])
would = data.truth.outcome_under(index, horizon_months=HORIZON_MONTHS)
without = data.truth.returned(index, horizon_months=HORIZON_MONTHS)
with_help = would.to_numpy()[np.arange(len(would)), would.columns.get_indexer(given_then["measure"])]
truly_averted = (without.to_numpy() - with_help).sum()
print(
    f"{len(given_then)} households got a measure that the simulator knows, "
    f"{without.sum():.0f} of them returned without it"
)
print(
    f"averted by assumption: {given_then['expected_points'].sum():.1f}; averted in the simulator: {truly_averted:.0f}"
)

# %% [markdown]
# The two numbers need not agree, and on a real county only the first can be had. That is why every effect carries its
# source, and why a plan is a proposal for a person to decide on.

# %% [markdown]
# ## Next month: what changed
#
# The same model on the list of a month before: who is new, who left, and what moved the risk. The difference is split
# exactly: a feature that a new record changed is filed under new records, any other under the passing of time or a
# changed line.

# %%
before, why_before = ranked(last_month)
moved_by = rk.explain_change(model, why_before.X, why.X, data=data)
print(moved_by.by_step().abs().mean().round(4).to_dict())
changes = rk.watchlist_changes(before, everybody, n=n_visits, reasons=moved_by.reasons(data))
print(changes["change"].value_counts().to_dict())
for sentence_en, sentence_zh in (
    changes.loc[changes["change"] != "stayed", ["sentence_en", "sentence_zh"]].head(3).to_numpy()
):
    print("-", sentence_en, sentence_zh)

# %% [markdown]
# ## Does the model still fit?
#
# How far each feature has moved since training, and whether the model leans on it. A shift is a reason to look at new
# outcomes, not yet a fault. One date against several also shows the season: a harvest that is not yet in is no drift.

# %%
drift = rk.drift_table(X, why.X, model=model)
moved = drift[drift["matters"]]
print(f"{len(moved)} of {len(drift)} features moved, and the model leans on them")
moved[["feature", "psi", "missing_before", "missing_now", "mean_before", "mean_now", "importance"]].head(5).round(3)

# %% [markdown]
# ## The report
#
# One HTML file to read, print and take along: the list, the plan, a card for each of the first households with its
# records, the figures from above and the limits. It holds no script and loads nothing.

# %%
on_cards = pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]].head(20))
rk.write_report(
    "county-report.html",
    listed,
    plan=plan,
    evidence=why.take(on_cards).evidence(data),
    figures=figures[figures["model"] != "true risk"],
    changes=changes,
    cliff=cliff,
)
print(f"county-report.html, {Path('county-report.html').stat().st_size / 1e3:,.0f} kB")

# %% [markdown]
# ## What this cannot tell
#
# - How well riskml does anywhere else. The county follows a law that we wrote, with returns that its own records
#   foretell to some degree; a real county has others. Run the same cells on your own tables before a list is used.
# - Small differences. So few returns leave wide intervals, and one seed is one county.
# - What a cause did, or what help would do. Points say what the score rests on. Only here could the truth be asked,
#   and it did not always agree.
# - Anything about households that are not registered, and about troubles that nobody entered.
# - Whether somebody should be helped. The list ranks visits; a person looks, decides, and writes the decision down.

# %%
recall = figures.query("figure == 'recall@10%'").set_index("model")["value"]
print("SUMMARY")
print(f"households: {len(data.household_ids)}")
print(f"returns in the test: {int(y_test.sum())}")
for name, value in recall.items():
    print(f"found by a list of a tenth, {name}: {value:.3f}")
print(f"households on the list: {len(listed)}")
print(f"cost of the plan: {given['cost'].sum():.0f}")
print(f"report: {Path('county-report.html').resolve().name}")
