"""The roster of the simulated district: who lived in a household, as the office came to know it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from riskml.datasets.law import ADULTS, BURN_IN, CHILDREN, ELDERS, N_MEMBERS
from riskml.datasets.office import DAY, DELAYS, Book, Entries, member_ids, other_patient

#: Age in years up to which the office takes an elder to be able to do light work.
WEAK_UNTIL = 68


def members(book: Book) -> Entries:
    """Return one version of a person at registration and one after every month in which something changed."""
    codes = _roster_codes(book)
    stacked = np.stack(list(codes.values()))
    changed = (stacked[:, 1:] != stacked[:, :-1]).any(axis=0)
    month, member, household = np.nonzero(np.concatenate([np.ones_like(changed[:1]), changed]))
    there = codes["present"][np.maximum(month - 1, 0), member, household] > 0
    month, member, household = month[there], member[there], household[there]
    birth = book.first_days[BURN_IN].astype("datetime64[M]") + book.traits["birth"].astype(int)
    birth = birth.astype("datetime64[D]") + book.rng.integers(0, 28, birth.shape) * DAY
    # One delay a person, so that an older state never arrives after a newer one.
    delay = book.rng.integers(*DELAYS["members"][:2], (N_MEMBERS, len(book.household_ids)))
    noticed = book.first_days[BURN_IN:][month]
    known = np.where(month == 0, book.registered_on[household], noticed + delay[member, household] * DAY)
    values = {name: grid[month, member, household].astype(float) for name, grid in codes.items()}
    gone = values.pop("present") == 0
    insured = book.rng.random((N_MEMBERS, len(book.household_ids))) < 0.96
    return {
        "household": household,
        "member_id": member_ids(member),
        "start": birth[member, household],
        "end": np.where(gone, noticed - DAY, np.datetime64("NaT", "D")),
        "known_on": known,
        "birth": birth[member, household],
        "sex": np.where(book.traits["female"][member, household] > 0, "f", "m"),
        "insured": insured[member, household].astype(float),
        **values,
    }


def _roster_codes(book: Book) -> Entries:
    """Return what can change of a person, ``(1 + months, 7, n)``: at registration, then at the end of each month."""
    after = {name: values[BURN_IN:] for name, values in book.states.items()}
    present = after["present"]
    months = np.arange(len(present), dtype=np.int16)[:, None, None]
    years = (months - book.traits["birth"]) // np.int16(12)
    zero = np.zeros_like(present)
    codes = {name: zero.copy() for name in ("disability", "chronic", "serious", "in_school", "education", "labour")}
    codes["disability"][:, ADULTS] = after["disabled"]
    everyone = np.arange(N_MEMBERS)[:, None]
    is_frail = everyone == other_patient(present)[:, None]
    codes["head"] = (everyone == (present > 0).argmax(axis=1)[:, None]).astype(np.int8)
    codes["chronic"] = (is_frail & (after["chronic"][:, None] > 0)).astype(np.int8)
    codes["serious"] = (is_frail & (after["care"][:, None] > 0)).astype(np.int8)
    codes["serious"][:, ADULTS] |= _ill_adults(book)
    codes["in_school"][:, CHILDREN] = after["school"] == 1
    codes["education"][:, ADULTS] = book.traits["education"]
    codes["education"][:, CHILDREN] = _schooling_reached(years[:, CHILDREN], after["school"])
    codes["education"][:, ELDERS] = 1
    weak = (after["disabled"] > 0) | (years[:, ADULTS] >= 62)
    codes["labour"][:, ADULTS] = np.maximum(book.traits["labour"] - weak, 0)
    codes["labour"][:, CHILDREN] = 2 * ((years[:, CHILDREN] >= 16) & (after["school"] != 1))
    codes["labour"][:, ELDERS] = years[:, ELDERS] < WEAK_UNTIL
    return {"present": present, **codes}


def _ill_adults(book: Book) -> NDArray[np.bool_]:
    """Return which adults have lost labour to an illness, in the months of :func:`_roster_codes`."""
    sick = book.states["sick"][1:] > 0
    falls_ill = (book.seen["patient"][:, None] == np.array([[1], [2]])) & (book.seen["ill"] > 0)[:, None]
    ill = np.zeros_like(sick)
    for month in range(len(sick)):
        ill[month] = sick[month] & (falls_ill[month] | (ill[month - 1] if month else False))
    return ill[BURN_IN - 1 :]


def _schooling_reached(years: NDArray, school: NDArray) -> NDArray[np.int8]:
    """Return the education code (0-6) of the children: it rises while they are in school and stays afterwards."""
    reached = np.select([years < 6, years < 12, years < 15, years < 18, years < 22], [0, 1, 3, 4, 5], 6)
    earlier = np.where(years[:1] >= 18, np.minimum(reached[:1], 5), np.minimum(reached[:1], 4))
    reached = np.where(school == 1, reached, 0)
    reached[:1] = np.where(school[:1] == 1, reached[:1], earlier)
    return np.maximum.accumulate(reached, axis=0).astype(np.int8)
