"""The text form of a booster, checked in Python before LightGBM sees it.

LightGBM trusts its own text: a changed count or child index makes it read beyond its arrays and ends the process, or
gives other scores without a word. So every line is read here first, against the one form that riskml writes.
"""

from __future__ import annotations

import math
import re

import lightgbm as lgb

#: Limits that the models of this package keep, and that explanations rely on.
MAX_LEAVES, MAX_DEPTH, MAX_TREES = 31, 8, 20_000

_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
#: LightGBM splits the missing from all others with an infinite threshold.
_THRESHOLD = rf"(?:inf|{_NUMBER})"
_WHOLE = r"-?\d{1,18}"
_INFO = rf"(?:none|\[{_NUMBER}:{_NUMBER}\])"
_END = "end of trees\n"
#: Lines of a tree in their order: how many values (leaves less the number), and of which form.
_TREE_LINES: dict[str, tuple[int, str]] = {
    "split_feature": (1, _WHOLE),
    "split_gain": (1, _NUMBER),
    "threshold": (1, _THRESHOLD),
    "decision_type": (1, _WHOLE),
    "left_child": (1, _WHOLE),
    "right_child": (1, _WHOLE),
    "leaf_value": (0, _NUMBER),
    "leaf_weight": (0, _NUMBER),
    "leaf_count": (0, _WHOLE),
    "internal_value": (1, _NUMBER),
    "internal_weight": (1, _NUMBER),
    "internal_count": (1, _WHOLE),
}
_TREE_KEYS = ["num_leaves", "num_cat", *_TREE_LINES, "is_linear", "shrinkage"]
#: A numerical split, missing values handled as none, zero or NaN, to the right or (2) to the left.
_DECISIONS = (0, 2, 4, 6, 8, 10)


def write_booster(booster: lgb.Booster) -> str:
    """Return the text of a booster up to its last tree; importances and training parameters are left out.

    Parameters
    ----------
    booster : lightgbm.Booster
        A binary model with numerical splits.

    Returns
    -------
    str
        Text that :func:`read_booster` takes.
    """
    text = booster.model_to_string()
    return text[: text.index(_END)] + _END


def read_booster(text: str, *, n_features: int) -> lgb.Booster:
    """Return the booster of a text after checking its structure.

    Parameters
    ----------
    text : str
        What :func:`write_booster` returned.
    n_features : int
        Number of features it must have.

    Returns
    -------
    lightgbm.Booster
        It predicts bit for bit as the booster written.

    Raises
    ------
    ValueError
        If anything differs from what this package writes: a line missing, added or out of order, counts that do not
        match, indices out of range, nodes that do not form a tree, values that are not finite, trees too large.
    """
    head, trees = _parts(text)
    sizes = _checked_head(head, n_features)
    start = 0
    for number, size in enumerate(sizes):
        _check_tree(trees[start : start + size], number, n_features)
        start += size
    if trees[start:] != _END:
        raise ValueError("the trees are not as long as tree_sizes says")
    booster = lgb.Booster(model_str=text)
    # The shap package asks the booster for its objective.
    booster.params = {"objective": "binary"}
    return booster


def _parts(text: str) -> tuple[list[str], str]:
    if not text.isascii():
        raise ValueError("the text holds other than ASCII characters")
    head, found, rest = text.partition("\nTree=0\n")
    if not found or not head.endswith("\n"):
        raise ValueError("there is no first tree")
    return head.split("\n")[:-1], "Tree=0\n" + rest


def _checked_head(lines: list[str], n_features: int) -> list[int]:
    """Return the sizes of the trees in characters."""
    fixed = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
    fixed += [f"max_feature_idx={n_features - 1}", "objective=binary sigmoid:1"]
    fixed += ["feature_names=" + " ".join(f"Column_{number}" for number in range(n_features))]
    for expected, line in zip(fixed, [*lines[: len(fixed)], *[""] * len(fixed)], strict=False):
        if line != expected:
            raise ValueError(f"expected the line {expected[:60]!r}, found {line[:60]!r}")
    rest = lines[len(fixed) :]
    if rest and rest[0].startswith("monotone_constraints="):
        _values("monotone_constraints", rest.pop(0), r"-?[01]", n_features)
    if len(rest) != 2:
        raise ValueError(f"expected feature_infos and tree_sizes before the trees, found {len(rest)} lines")
    _values("feature_infos", rest[0], _INFO, n_features)
    sizes = [int(size) for size in _values("tree_sizes", rest[1], r"\d{1,9}", None)]
    if not 1 <= len(sizes) <= MAX_TREES or min(sizes) < 1:
        raise ValueError(f"expected 1 to {MAX_TREES} trees, found {len(sizes)}")
    return sizes


def _check_tree(text: str, number: int, n_features: int) -> None:
    lines = text.split("\n")
    name = f"tree {number}"
    if lines[0] != f"Tree={number}" or [line.partition("=")[0] for line in lines[1:-3]] != _TREE_KEYS:
        raise ValueError(f"{name} does not have the lines of a tree")
    if lines[-3:] != ["", "", ""]:
        raise ValueError(f"{name} is not as long as tree_sizes says")
    said = dict(line.split("=", 1) for line in lines[1:-3])
    if not re.fullmatch(r"\d{1,9}", said["num_leaves"]) or not 1 <= int(said["num_leaves"]) <= MAX_LEAVES:
        raise ValueError(f"{name} has {said['num_leaves'][:20]!r} leaves; expected 1 to {MAX_LEAVES}")
    if said["num_cat"] != "0" or said["is_linear"] != "0":
        raise ValueError(f"{name} has categorical splits or linear leaves")
    _values("shrinkage", "shrinkage=" + said["shrinkage"], _NUMBER, 1)
    _check_nodes(said, int(said["num_leaves"]), n_features, name)


def _check_nodes(said: dict[str, str], n_leaves: int, n_features: int, name: str) -> None:
    arrays = {}
    for key, (less, form) in _TREE_LINES.items():
        # A tree of one leaf has no splits and no weights but a value.
        absent = n_leaves == 1 and key == "leaf_weight" and not said[key]
        count = 0 if absent else n_leaves - less
        try:
            arrays[key] = _values(key, f"{key}={said[key]}", form, count)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if any(not 0 <= int(feature) < n_features for feature in arrays["split_feature"]):
        raise ValueError(f"{name} splits on a feature that is not there")
    if any(int(decision) not in _DECISIONS for decision in arrays["decision_type"]):
        raise ValueError(f"{name} has a decision_type that numerical splits do not have")
    children = zip(map(int, arrays["left_child"]), map(int, arrays["right_child"]), strict=True)
    _check_shape(list(children), n_leaves, name)


def _check_shape(children: list[tuple[int, int]], n_leaves: int, name: str) -> None:
    """Refuse nodes that do not form one binary tree of limited depth; leaf number k stands as -1 - k."""
    if not children:
        return
    depth = [0] * (n_leaves - 1)
    for node, pair in enumerate(children):
        for child in pair:
            if child >= 0:
                # Nodes are numbered as they were split, so a child comes after its parent.
                if not node < child < n_leaves - 1:
                    raise ValueError(f"{name} has a child node out of range")
                depth[child] = depth[node] + 1
    everyone = sorted(child for pair in children for child in pair)
    if everyone != [*range(-n_leaves, 0), *range(1, n_leaves - 1)]:
        raise ValueError(f"{name} has a leaf or node without exactly one parent")
    if max(depth) + 1 > MAX_DEPTH:
        raise ValueError(f"{name} is deeper than {MAX_DEPTH}")


def _values(key: str, line: str, form: str, count: int | None) -> list[str]:
    """Return the values of a line ``key=value value ...`` after checking key, number and form; numbers fit a float."""
    found, _, text = line.partition("=")
    values = text.split(" ") if text else []
    if found != key:
        raise ValueError(f"expected {key}, found {found[:40]!r}")
    if count is not None and len(values) != count:
        raise ValueError(f"{key} has {len(values)} values; expected {count}")
    for value in values:
        if not re.fullmatch(form, value) or (form == _NUMBER and not math.isfinite(float(value))):
            raise ValueError(f"{key} holds {value[:40]!r}")
    return values
