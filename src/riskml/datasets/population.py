"""Who lives in the simulated district before the first month: areas, rosters, abilities, first state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from riskml.datasets.law import ADULTS, BURN_IN, CHILDREN, ELDERS, MEASURES, N_MEMBERS, STATE, Lanes
from riskml.datasets.month import labour, needs, offered_pay, stage

#: Households a village has on average, villages a township, townships a county.
_PER_VILLAGE, _PER_TOWNSHIP, _PER_COUNTY = 50, 6, 5

#: A province that does not exist: 99 is not given to any.
_PROVINCE = 99


def draw_traits(rng: np.random.Generator, n: int) -> Lanes:
    """Draw what does not change in a household's life.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    n : int
        Number of households.

    Returns
    -------
    dict of ndarray
        ``birth`` (months before or after month 0), ``female``, ``member`` (0/1: there at the start), each ``(7, n)``;
        ``education`` (0-6), ``labour`` (0-2), ``farmer`` (0/1) of the adults, ``(2, n)``; and of shape ``(n,)``
        ``ability`` (log), ``land`` (1 is the median), ``remittance``, ``exposed``, ``lifted`` (0/1), ``leniency`` (of
        the village's officer), ``village``, ``township``, ``county``, ``market`` (numbers), ``<area>_first`` (the
        first household of the area, whose random numbers all of it share).
    """
    traits = _areas(rng, n)
    traits |= _roster(rng, n)
    lifted = rng.random(n) < 0.7
    learned = traits["education"].max(axis=0)
    traits["lifted"] = lifted.astype(np.int8)
    ability = 0.29 - 0.08 * lifted + 0.05 * (learned - 2.5) + 0.26 * rng.standard_normal(n)
    traits["ability"] = ability.astype(np.float32)
    traits["land"] = np.exp(0.45 * rng.standard_normal(n)).astype(np.float32)
    traits["remittance"] = (1.0 * np.exp(0.30 * rng.standard_normal(n))).astype(np.float32)
    traits["farmer"] = (rng.random((2, n)) < np.array([[0.35], [0.5]])).astype(np.int8)
    return traits


def first_state(rng: np.random.Generator, traits: Lanes) -> Lanes:
    """Draw the state at the start of the burn-in; support given before that still runs for some of the households."""
    n = len(traits["ability"])
    state: Lanes = {name: np.zeros((places, n) if places else n, dtype) for name, (places, dtype) in STATE.items()}
    state["present"] = traits["member"].copy()
    years = (-BURN_IN - traits["birth"]) // 12
    at = stage(years[CHILDREN])
    in_school = (
        (at >= 1) & (rng.random(at.shape) < np.select([at <= 2, at == 3], [1.0, 0.8], 0.4)) & (years[CHILDREN] < 22)
    )
    state["school"] = np.select([traits["member"][CHILDREN] == 0, at == 0, in_school], [0, 0, 1], 3).astype(np.int8)
    state["chronic"] = (rng.random(n) < 0.18 + 0.12 * traits["member"][ELDERS].any(axis=0)).astype(np.int8)
    state["disabled"] = ((rng.random((2, n)) < 0.05) & (traits["member"][ADULTS] > 0)).astype(np.int8)
    state["housing"] = rng.choice([1, 2, 3], n, p=[0.75, 0.22, 0.03]).astype(np.int8)
    state["water"] = rng.choice([1, 2, 3], n, p=[0.68, 0.29, 0.03]).astype(np.int8)
    state["savings"] = rng.gamma(1.2, 0.5, n).astype(np.float32)
    state["average"] = np.full(n, 1.6, np.float32)
    state["productivity"] = (0.1 * rng.standard_normal(n)).astype(np.float32)
    _first_jobs(rng, state, traits, years)
    _first_support(rng, state, traits)
    return state


def area_codes(traits: Lanes) -> NDArray[np.str_]:
    """Return the code of each household's village: 12 digits, of which 6 are the county and 9 the township."""
    county = (_PROVINCE * 100 + 1) * 100 + 21 + traits["county"].astype(np.int64)
    township = 100 + traits["township"] % _PER_COUNTY
    village = 201 + traits["village"] % _PER_TOWNSHIP
    return (county * 10**6 + township * 10**3 + village).astype("U12")


def _areas(rng: np.random.Generator, n: int) -> Lanes:
    n_villages = max(1, round(n / _PER_VILLAGE))
    size = rng.dirichlet(np.full(n_villages, 12.0))
    village = np.sort(rng.choice(n_villages, n, p=size))
    township, product = village // _PER_TOWNSHIP, rng.integers(0, 3, n)
    county = township // _PER_COUNTY
    areas = {"village": village, "township": township, "county": county, "market": county * 3 + product}
    exposed_village = rng.random(n_villages) < 0.25
    leniency = 0.5 * rng.standard_normal(n_villages)
    for name, codes in list(areas.items()):
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        areas[f"{name}_first"] = first[place]
    areas["exposed"] = (exposed_village[village] & (rng.random(n) < 0.7)).astype(np.int8)
    areas["leniency"] = leniency[village].astype(np.float32)
    areas["product"] = product
    return areas


def _roster(rng: np.random.Generator, n: int) -> Lanes:
    """Draw three kinds of household: two adults (70 %), one adult (17 %), elders alone (13 %)."""
    kind = rng.choice(3, n, p=[0.70, 0.17, 0.13])
    age = np.zeros((N_MEMBERS, n))
    age[0] = rng.uniform(24, 58, n)
    age[1] = np.clip(age[0] + rng.normal(-2, 3, n), 21, 60)
    for place in range(3):
        age[2 + place] = np.clip(age[0] - rng.uniform(21, 31, n) - 3 * place, -1, 19)
    age[ELDERS] = np.clip(rng.normal(71, 6, (2, n)), 61, 92)
    member = np.zeros((N_MEMBERS, n), np.int8)
    member[0], member[1] = kind < 2, kind < 1
    children = rng.choice(4, n, p=[0.27, 0.36, 0.29, 0.08])
    member[CHILDREN] = (np.arange(3)[:, None] < children) & (kind < 2) & (age[CHILDREN] > 1)
    elders = np.where(kind == 2, rng.choice([1, 2], n), rng.choice(3, n, p=[0.6, 0.25, 0.15]))
    member[ELDERS] = np.arange(2)[:, None] < elders
    female = rng.random((N_MEMBERS, n)) < 0.5
    female[1], female[6] = ~female[0], ~female[5]
    able = np.where(rng.random((2, n)) < 0.05, 0, np.where(rng.random((2, n)) < 0.15, 1, 2))
    education = np.clip(np.round(rng.normal(2.8, 1.2, (2, n)) - (age[ADULTS] - 40) / 30), 0, 6)
    return {
        "birth": np.round(-12 * age).astype(np.int16),
        "female": female.astype(np.int8),
        "member": member,
        "labour": (able * member[ADULTS]).astype(np.int8),
        "education": education.astype(np.int8),
    }


def _first_jobs(rng: np.random.Generator, state: Lanes, traits: Lanes, years: NDArray) -> None:
    shape = state["job"].shape
    able = (labour(state, traits, -BURN_IN) > 0.4) & (rng.random(shape) < np.where(traits["farmer"] > 0, 0.35, 0.82))
    away = rng.random(shape) < np.where(years[ADULTS] >= 50, 0.2, 0.6)
    state["job"] = (able * np.where(away, 2, 1)).astype(np.int8)
    state["pay"] = (able * offered_pay(traits, away, rng.standard_normal(shape, dtype=np.float32))).astype(np.float32)
    state["informal"] = (able & (rng.random(shape) < 0.7 - 0.08 * traits["education"])).astype(np.int8)


def _first_support(rng: np.random.Generator, state: Lanes, traits: Lanes) -> None:
    """Support of the time of lifting still runs for up to three years."""
    has = needs(state, traits, -BURN_IN)
    share = {
        "minimum_income_guarantee": 0.10,
        "public_service_post": 0.35,
        "production_grant": 0.2,
        "job_placement": 0.2,
    }
    for place, name in enumerate(MEASURES):
        if name in share:
            gets = (rng.random(len(traits["ability"])) < share[name]) & (traits["lifted"] > 0)
            gets &= has[name] | (name in ("minimum_income_guarantee", "production_grant"))
            state["support"][place] = gets * rng.integers(1, 37, len(gets))
    state["guarantee"] = (0.2 * state["present"].sum(axis=0)).astype(np.float32)
