"""The law of the simulated district as numbers: hazards, measures, constants, state, random numbers.

Money in the law is in *person-lines a year*: 1 is what one person needs in a year to be at the line. A
household's welfare in a month is its annualised net income over its members. How a month passes stands in
:mod:`riskml.datasets.month`; ``docs/simulator.md`` shows equations and numbers together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Lanes = dict[str, NDArray]

#: Places of the members in every ``(7, n)`` array: two adults, three children, two elders.
ADULTS, CHILDREN, ELDERS = slice(0, 2), slice(2, 5), slice(5, 7)
N_MEMBERS = 7

#: Months simulated before the first recorded one, so that spells, prices and averages have a past.
BURN_IN = 12


@dataclass(frozen=True)
class Hazard:
    """An event that can happen in a month: how often, and what makes it more likely.

    The probability is ``monthly`` times ``1 + (factor - 1) x`` for each of ``factors``, where ``x`` is a flag or a
    count of the household. ``cause`` is the cause :meth:`riskml.datasets.truth.Truth.shocks` counts the event
    under; empty for events that are not shocks.
    """

    name: str
    cause: str
    monthly: float
    factors: Mapping[str, float]
    meaning: str


@dataclass(frozen=True)
class Measure:
    """A kind of help: its term in months (shortest, longest), yearly value in person-lines, what it does.

    ``income`` tells whether the value is paid out as a transfer, and so counts as income.
    """

    name: str
    months: tuple[int, int]
    value: float
    income: bool
    effect: str


HAZARDS: dict[str, Hazard] = {
    hazard.name: hazard
    for hazard in (
        Hazard(
            "illness",
            "illness",
            0.0040,
            {"chronic": 2.5, "elders": 1.3, "poor_water": 1.6},
            "a member falls seriously ill",
        ),
        Hazard("disability", "disability", 0.0006, {"away": 1.5, "old": 1.5}, "an adult becomes disabled"),
        Hazard("accident", "accident", 0.0032, {"away": 1.5, "exposed": 1.3}, "fire, traffic or work accident"),
        Hazard("departure", "labour", 0.0009, {"old": 2.0, "young": 1.5}, "an adult dies or leaves for good"),
        Hazard("elder_death", "", 0.0020, {"old": 2.0}, "an elder dies"),
        Hazard("job_end", "employment", 0.0042, {"informal": 2.2, "slump": 2.5, "old": 1.5}, "an adult loses the job"),
        Hazard(
            "job_found", "", 0.12, {"farmer": 0.12, "old": 0.4, "placed": 2.5, "slump": 0.5}, "an adult finds a job"
        ),
        Hazard("slump", "employment", 0.007, {}, "the labour market of a county turns bad"),
        Hazard("slump_end", "", 0.12, {}, "a bad labour market recovers"),
        Hazard("failure", "production", 0.0042, {"growing": 2.0}, "crop, animals or business fail"),
        Hazard("price_fall", "production", 0.0042, {}, "the price of a county's product collapses"),
        Hazard("house_damage", "housing", 0.0022, {"weak_house": 3.0, "exposed": 1.5}, "the dwelling becomes unsafe"),
        Hazard("water_failure", "water", 0.0035, {"exposed": 1.5, "dry": 2.0}, "the drinking water fails"),
        Hazard("village_disaster", "disaster", 0.0045, {"rainy": 3.0}, "a natural disaster in a village"),
        Hazard("township_disaster", "disaster", 0.0028, {"rainy": 3.0}, "a natural disaster in a township"),
        Hazard(
            "accompany",
            "schooling",
            0.45,
            {"granted": 0.4},
            "an adult gives up work to live with a pupil entering stage 3",
        ),
        Hazard("drop_out", "schooling", 0.0008, {"near_line": 3.0}, "a pupil below stage 3 drops out"),
    )
}

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "minimum_income_guarantee", (12, 12), 0.0, True, "fills the gap to 1.25 lines, at most 0.3 lines a member"
        ),
        Measure("public_service_post", (12, 24), 0.6, False, "a paid post, beside other work"),
        Measure("production_grant", (12, 12), 0.15, True, "raises productive capital, halves a running loss"),
        Measure("job_placement", (12, 12), 0.12, True, "jobs are found 2.5 times as fast, with a travel subsidy"),
        Measure("health_assistance", (12, 12), 0.25, False, "pays 60 % of bills and halves the time of recovery"),
        Measure("education_grant", (12, 12), 0.30, False, "pays 70 % of fees; fewer adults give up work"),
        Measure("disaster_relief", (3, 6), 0.5, True, "cash, and half of a running loss made good"),
        Measure("housing_repair", (3, 6), 0.8, False, "the dwelling is safe again at the end"),
        Measure("water_works", (3, 6), 0.5, False, "the water is safe again at the end"),
    )
}
MEASURE_NAMES = tuple(MEASURES)

CONSTANTS: dict[str, tuple[float, str]] = {
    "productivity_persistence": (0.96, "share of the household's productivity deviation that stays each month"),
    "productivity_sd": (0.025, "standard deviation of its monthly innovation (log)"),
    "local_pay": (2.4, "yearly pay of a job near home"),
    "away_pay": (3.6, "yearly pay of a migrant job"),
    "farm_yield": (1.75, "yearly output of one able adult on median land"),
    "cost_share": (0.30, "costs of farming and business per unit of usual output"),
    "sick_capacity": (0.35, "share of an adult's labour left while sick or injured"),
    "disabled_capacity": (0.25, "share of an adult's labour left with a disability"),
    "carer_capacity": (
        0.50,
        "share of the carer's labour left while a member is seriously ill or the house is rebuilt",
    ),
    "accompanying_capacity": (0.25, "share of the carer's labour left while living with a pupil"),
    "loss_decay": (0.92, "share of a production loss that stays each month"),
    "price_decay": (0.94, "share of a price deviation (log) that stays each month"),
    "water_yield": (0.65, "share of farm output left while water is short or unsafe"),
    "pension": (0.22, "yearly public pension of a person of 60 or more"),
    "disability_subsidy": (0.12, "yearly subsidy of a disabled adult"),
    "fire_sale": (0.30, "log productive capital lost per line and member of cost that savings do not cover"),
    "average_weight": (1 / 9, "weight of the newest month in the running average of welfare that officers see"),
}

#: How strongly an officer weighs a need that can be seen, beside low income.
NEED_WEIGHTS = {
    "job_placement": 0.4,
    "health_assistance": 0.8,
    "education_grant": 0.3,
    "disaster_relief": 0.7,
    "housing_repair": 0.7,
    "water_works": 0.4,
}
#: Monthly chance that a bureau helps a household with the need that nobody watches.
UNWATCHED_RATE = {
    "public_service_post": 0.01,
    "production_grant": 0.01,
    "job_placement": 0.02,
    "health_assistance": 0.04,
    "education_grant": 0.04,
    "disaster_relief": 0.25,
    "housing_repair": 0.06,
    "water_works": 0.06,
}

#: What a household carries from month to month: name -> (places, type).
STATE: dict[str, tuple[int, type]] = {
    "present": (N_MEMBERS, np.int8),
    "sick": (2, np.int8),  # months of illness or injury left, by adult
    "disabled": (2, np.int8),
    "care": (0, np.int8),  # months of care left for an ill child or elder
    "chronic": (0, np.int8),
    "school": (3, np.int8),  # 0 not yet, 1 in school, 2 dropped out, 3 finished
    "accompanying": (0, np.int8),
    "job": (2, np.int8),  # 0 none, 1 near home, 2 away
    "pay": (2, np.float32),
    "informal": (2, np.int8),
    "slump": (0, np.int8),
    "productivity": (0, np.float32),
    "capital": (0, np.float32),
    "price": (0, np.float32),
    "failed": (0, np.float32),  # share of farm and business output lost
    "struck": (0, np.int8),  # months for which a disaster still counts as recent
    "savings": (0, np.float32),
    "sold": (0, np.int8),  # months for which selling capital still counts as recent
    "housing": (0, np.int8),
    "water": (0, np.int8),
    "rebuilding": (0, np.int8),
    "average": (0, np.float32),
    "watched": (0, np.int8),  # 0 no, 1 unstable, 2 marginal, 3 sudden
    "calm": (0, np.int8),
    "support": (len(MEASURES), np.int8),  # months left of each measure
    "guarantee": (0, np.float32),
}

_UNIFORMS = {
    **dict.fromkeys(("illness", "illness_who", "illness_size", "accident", "accident_kind", "accident_size"), 0),
    **dict.fromkeys(("disability", "departure", "elder_death", "job_end", "job_found", "job_kind", "job_informal"), 2),
    **dict.fromkeys(("slump", "slump_end", "failure", "failure_size", "price_fall", "price_size"), 0),
    **dict.fromkeys(("house_damage", "house_size", "water_failure", "hit", "accompany", "identify", "term"), 0),
    **dict.fromkeys(("village_disaster", "village_severity", "township_disaster", "township_severity"), 0),
    **dict.fromkeys(("drop_out", "continue"), 3),
    "give": len(MEASURES),
}
_NORMALS = {
    "productivity": 0,
    "price": 0,
    "wage_noise": 0,
    "business_noise": 0,
    "private_noise": 0,
    "need": 0,
    "pay": 2,
}

#: Random numbers that all households of an area have in common, and the trait that names the area.
SHARED = {
    **dict.fromkeys(("village_disaster", "village_severity"), "village"),
    **dict.fromkeys(("township_disaster", "township_severity"), "township"),
    **dict.fromkeys(("slump", "slump_end"), "county"),
    **dict.fromkeys(("price_fall", "price_size", "price"), "market"),
}


@dataclass(frozen=True)
class Rules:
    """What holds for the whole district.

    ``first_calendar_month`` (1-12) is that of month 0; in month ``posts_close`` public-service posts end; in month
    ``strike`` a severe disaster strikes every second township of the district itself, not of imagined futures.
    """

    first_calendar_month: int = 1
    posts_close: int | None = None
    strike: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that strikes a district beside what its law brings, in one month or from that month on.

    Arrays have one entry a household; where one is None nothing of that kind happens.

    Attributes
    ----------
    month : int
        Months since the first recorded one; the event strikes in it.
    severity : ndarray of int, shape (n,), optional
        A disaster of the household's township in that month: 0 none, 1 light, 2 serious, 3 severe.
    hit : ndarray of bool, shape (n,), optional
        Households that suffer from that disaster, as those hit by one of the law do.
    jobs_end : ndarray of bool, shape (2, n), optional
        Adults whose job, if they have one, ends in that month.
    price_fall : ndarray of float, shape (n,), optional
        By how much (log) the price of the household's product falls in that month.
    bills : ndarray of float, shape (n,), optional
        Factor of every medical bill from that month on.
    ended : tuple of str
        Measures that end in that month for everybody; none is given after that.
    """

    month: int
    severity: NDArray[np.int8] | None = None
    hit: NDArray[np.bool_] | None = None
    jobs_end: NDArray[np.bool_] | None = None
    price_fall: NDArray[np.float32] | None = None
    bills: NDArray[np.float32] | None = None
    ended: tuple[str, ...] = ()

    def of(self, lanes: NDArray[np.int64]) -> Event:
        """Return the event for some of the households, in that order."""
        arrays = {name: getattr(self, name) for name in ("severity", "hit", "jobs_end", "price_fall", "bills")}
        return replace(self, **{name: each[..., lanes] for name, each in arrays.items() if each is not None})


def draw_noise(rng: np.random.Generator, n: int) -> Lanes:
    """Return the random numbers of one month for ``n`` lanes: uniforms and standard normals by name."""
    return {
        **_named(_UNIFORMS, rng.random((sum(map(_places, _UNIFORMS.values())), n), dtype=np.float32)),
        **_named(_NORMALS, rng.standard_normal((sum(map(_places, _NORMALS.values())), n), dtype=np.float32)),
    }


def district_noise(seed: int, month: int, traits: Lanes, rules: Rules) -> Lanes:
    """Return the random numbers of the district itself in a month; an area has those of :data:`SHARED` in common."""
    noise = draw_noise(np.random.default_rng([seed, 0, month + BURN_IN]), len(traits["ability"]))
    for name, area in SHARED.items():
        noise[name] = noise[name][traits[f"{area}_first"]]
    if month == rules.strike:
        struck = traits["township"] % 2 == 0
        for name in ("township_disaster", "township_severity"):
            noise[name] = np.where(struck, np.float32(0), noise[name])
    return noise


def _places(places: int) -> int:
    return max(places, 1)


def _named(names: Mapping[str, int], block: NDArray[np.float32]) -> Lanes:
    out, row = {}, 0
    for name, places in names.items():
        out[name] = block[row : row + places] if places else block[row]
        row += _places(places)
    return out
