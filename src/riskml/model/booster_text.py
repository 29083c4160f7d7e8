"""The text form of a booster, checked in Python before LightGBM sees it or an explanation rests on it.

LightGBM trusts its own text: a changed count or child index makes it read beyond its arrays and ends the process, or
gives other scores without a word. So every line is read here first, against the one form that LightGBM writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

#: Limits that the models of this package keep, so that explanations stay fast.
MAX_LEAVES, MAX_DEPTH, MAX_TREES = 31, 8, 20_000

_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
#: LightGBM splits the missing from all others with an infinite threshold.
_THRESHOLD = rf"(?:inf|{_NUMBER})"
_WHOLE = r"-?\d{1,18}"
#: The range of a numerical feature, the categories of a categorical one.
_INFO = rf"(?:none|\[{_NUMBER}:{_NUMBER}\]|{_WHOLE}(?::{_WHOLE})*)"
#: What the trees of a risk model sum to: log-odds.
_OBJECTIVE = "binary sigmoid:1"
#: The last line of a text.
END_OF_TREES = "end of trees\n"
#: Lines before the first tree in their order; ``?`` stands before those that some boosters do not have.
_HEAD = (
    "tree",
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "?objective",
    "feature_names",
    "?monotone_constraints",
    "feature_infos",
    "tree_sizes",
)
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
#: Two further lines of a tree with categorical splits: where the words of each begin, and the words of 32 bits.
_CATEGORY_LINES = ("cat_boundaries", "cat_threshold")
#: A numerical split, missing values handled as none, zero or NaN, to the right or (2) to the left.
_NUMERICAL = (0, 2, 4, 6, 8, 10)
#: A categorical split; what is missing goes to the right.
_CATEGORICAL = (1, 5, 9)


class Trees(NamedTuple):
    """The trees of a booster as plain arrays, one after the other.

    Attributes
    ----------
    n_features : int
        Columns of a row.
    first_node, first_leaf : ndarray of int64, shape (n_trees + 1,)
        Tree ``t`` has the nodes ``first_node[t]:first_node[t + 1]``, its root first and every child after its parent,
        and one leaf more than nodes. A tree of one leaf has no node.
    feature : ndarray of int64, shape (n_nodes,)
        Column a node looks at.
    threshold : ndarray of float64, shape (n_nodes,)
        Of numerical splits: to the left go values not above it.
    decision : ndarray of int64, shape (n_nodes,)
        LightGBM's ``decision_type``: 1 categorical; 2 the missing go left; 4 zero and NaN are missing, 8 NaN is.
    left, right : ndarray of int64, shape (n_nodes,)
        Children: a node, or ``-1 - leaf``.
    parent, leaf_parent : ndarray of int64, shape (n_nodes,) and (n_leaves,)
        Node above, -1 where there is none.
    node_rows, leaf_rows : ndarray of int64, shape (n_nodes,) and (n_leaves,)
        Training rows that passed; those of two children sum to their parent's.
    leaf_value : ndarray of float64, shape (n_leaves,)
        What a leaf adds to the prediction, shrinkage included.
    first_word : ndarray of int64, shape (n_nodes + 1,)
        Categorical node ``k`` has the words ``first_word[k]:first_word[k + 1]``; a numerical one has none.
    word : ndarray of int64, shape (n_words,)
        Bit ``c % 32`` of word ``c // 32`` is set if category ``c`` goes left.
    """

    n_features: int
    first_node: NDArray[np.int64]
    first_leaf: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    decision: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    parent: NDArray[np.int64]
    node_rows: NDArray[np.int64]
    leaf_parent: NDArray[np.int64]
    leaf_rows: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    first_word: NDArray[np.int64]
    word: NDArray[np.int64]


#: Boosters whose text was read.
_TREES: WeakKeyDictionary[lgb.Booster, Trees] = WeakKeyDictionary()


def write_booster(booster: lgb.Booster) -> str:
    """Return the text of a booster up to its last tree; importances and training parameters are left out.

    Parameters
    ----------
    booster : lightgbm.Booster
        A model of one output.

    Returns
    -------
    str
        Text that :func:`read_booster` takes if the booster is of the kind this package makes.
    """
    text = booster.model_to_string()
    return text[: text.index(END_OF_TREES)] + END_OF_TREES


def as_binary(booster: lgb.Booster) -> lgb.Booster:
    """Return a booster that learned graded outcomes as what it is: log-odds of one outcome.

    LightGBM has the loss of outcomes between 0 and 1 under another name (``cross_entropy``); margins and probabilities
    of the trees are the same.

    Parameters
    ----------
    booster : lightgbm.Booster
        Trained with the objective ``cross_entropy``.

    Returns
    -------
    lightgbm.Booster
        With the same trees, of the kind that :func:`read_booster` takes.
    """
    text = write_booster(booster).replace("\nobjective=cross_entropy\n", f"\nobjective={_OBJECTIVE}\n", 1)
    return read_booster(text, n_features=booster.num_feature())


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
        match, indices out of range, nodes that do not form a tree, values that are not finite, categorical splits,
        trees too large.
    """
    head, trees = _read(text)
    names = " ".join(f"Column_{number}" for number in range(n_features))
    fixed = {"max_feature_idx": f"{n_features - 1}", "objective": _OBJECTIVE, "feature_names": names}
    for key, value in fixed.items():
        if head.get(key) != value:
            raise ValueError(f"expected {key}={value[:60]}, found {head.get(key, '')[:60]!r}")
    if len(trees.first_node) - 1 > MAX_TREES:
        raise ValueError(f"expected at most {MAX_TREES} trees, found {len(trees.first_node) - 1}")
    tree = np.arange(len(trees.first_leaf) - 1)
    tree_of_node = np.repeat(tree, np.diff(trees.first_node))
    _refuse(np.diff(trees.first_leaf) > MAX_LEAVES, tree, f"has more than {MAX_LEAVES} leaves")
    _refuse(np.isin(trees.decision, _CATEGORICAL), tree_of_node, "has categorical splits")
    _refuse(_is_below(trees.parent, MAX_DEPTH), tree_of_node, f"is deeper than {MAX_DEPTH}")
    booster = lgb.Booster(model_str=text)
    # The shap package asks the booster for its objective.
    booster.params = {"objective": "binary"}
    _TREES[booster] = trees
    return booster


def trees_of(booster: lgb.Booster) -> Trees:
    """Return the trees of any booster with one output as plain arrays, read from its text once.

    Parameters
    ----------
    booster : lightgbm.Booster
        With trees of any size and numerical or categorical splits. It must not learn further afterwards.

    Returns
    -------
    Trees
        Its trees.

    Raises
    ------
    ValueError
        If the booster has several outputs, linear leaves or averaged trees, or its text is not sound.
    """
    if booster not in _TREES:
        _TREES[booster] = _read(write_booster(booster))[1]
    return _TREES[booster]


def _read(text: str) -> tuple[dict[str, str], Trees]:
    """Return the lines before the trees, and the trees."""
    if not text.isascii():
        raise ValueError("the text holds other than ASCII characters")
    before, found, after = text.partition("\nTree=0\n")
    if not found or not before.endswith("\n"):
        raise ValueError("there is no first tree")
    head = _checked_head(before.split("\n")[:-1])
    rest, start, said = "Tree=0\n" + after, 0, []
    for number, size in enumerate(_values([head["tree_sizes"]], r"\d{1,9}", "tree_sizes").tolist()):
        said.append(_lines_of_tree(rest[start : start + size], number))
        start += size
    if rest[start:] != END_OF_TREES:
        raise ValueError("the trees are not as long as tree_sizes says")
    return head, _checked_trees(said, int(head["max_feature_idx"]) + 1)


def _checked_head(lines: list[str]) -> dict[str, str]:
    found = [line.partition("=")[0] for line in lines]
    if found != [key.lstrip("?") for key in _HEAD if key[0] != "?" or key[1:] in found]:
        raise ValueError(f"expected the lines {', '.join(_HEAD)} before the trees, found {', '.join(found)[:300]}")
    head = {line.partition("=")[0]: line.partition("=")[2] for line in lines}
    fixed = {"tree": "", "version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
    for key, value in fixed.items():
        if head[key] != value:
            raise ValueError(f"expected {key}={value}, found {head[key][:60]!r}")
    if not re.fullmatch(r"\d{1,9}", head["max_feature_idx"]):
        raise ValueError(f"max_feature_idx holds {head['max_feature_idx'][:40]!r}")
    for key, form in (("monotone_constraints", r"-?[01]"), ("feature_infos", _INFO)):
        if key in head:
            _texts([head[key]], form, key, [int(head["max_feature_idx"]) + 1])
    return head


def _lines_of_tree(text: str, number: int) -> dict[str, str]:
    """Return the lines of one tree after checking that they are there, no more and in order."""
    lines = text.split("\n")
    if lines[-3:] != ["", "", ""]:
        raise ValueError(f"tree {number} is not as long as tree_sizes says")
    parts = [line.partition("=") for line in lines]
    said = {key: value for key, _, value in parts[:-3]}
    if said.get("is_linear") == "1":
        raise ValueError(f"tree {number} has linear leaves")
    further = () if said.get("num_cat") == "0" else _CATEGORY_LINES
    wanted = ["Tree", "num_leaves", "num_cat", *_TREE_LINES, *further, "is_linear", "shrinkage"]
    if [key for key, _, _ in parts[:-3]] != wanted or said["Tree"] != str(number) or said["is_linear"] != "0":
        raise ValueError(f"tree {number} does not have the lines of a tree")
    return said


def _checked_trees(said: list[dict[str, str]], n_features: int) -> Trees:
    lines: dict[str, Any] = {}
    for key, form in (("num_leaves", r"\d{1,9}"), ("num_cat", r"\d{1,9}"), ("shrinkage", _NUMBER)):
        lines[key] = _values([tree[key] for tree in said], form, key, [1] * len(said))
    tree, n_leaves = np.arange(len(said)), lines["num_leaves"]
    _refuse(n_leaves < 1, tree, "has no leaf")
    for key, (less, form) in _TREE_LINES.items():
        texts = [one[key] for one in said]
        # A tree of one leaf has no splits and no weights but a value.
        absent = (n_leaves == 1) & (np.array(texts) == "") & (key == "leaf_weight")
        lines[key] = _values(texts, form, key, np.where(absent, 0, n_leaves - less).tolist())
    tree_of_node, tree_of_leaf = np.repeat(tree, n_leaves - 1), np.repeat(tree, n_leaves)
    feature, decision = lines["split_feature"], lines["decision_type"]
    _refuse((feature < 0) | (feature >= n_features), tree_of_node, "splits on a feature that is not there")
    _refuse(~np.isin(decision, _NUMERICAL + _CATEGORICAL), tree_of_node, "has a decision_type that no split has")
    first_node, first_leaf = _starts(n_leaves - 1), _starts(n_leaves)
    first_word, word = _checked_words(said, lines, first_node)
    children = []
    for key in ("left_child", "right_child"):
        child = lines[key]
        # Nodes are numbered as they were split, so a child comes after its parent.
        ahead = (child >= 0) & (child <= np.arange(len(child)) - first_node[tree_of_node])
        outside = (child < -n_leaves[tree_of_node]) | (child >= n_leaves[tree_of_node] - 1)
        _refuse(ahead | outside, tree_of_node, "has a child out of range")
        children.append(np.where(child >= 0, child + first_node[tree_of_node], child - first_leaf[tree_of_node]))
    left, right = children
    # Leaf k is child -1 - k: the last places of an array of nodes and leaves, from the end.
    n_nodes, n_both = len(left), len(left) + len(tree_of_leaf)
    n_parents = np.bincount(np.concatenate([left, right]) % n_both, minlength=n_both)
    n_parents[np.where(n_leaves > 1, first_node[:-1], -1 - first_leaf[:-1])] += 1
    _refuse(n_parents != 1, np.concatenate([tree_of_node, tree_of_leaf[::-1]]), "has a leaf or node of no one parent")
    parent = np.full(n_both, -1)
    parent[left] = parent[right] = np.arange(n_nodes)
    count = np.concatenate([lines["internal_count"], lines["leaf_count"][::-1]])
    odd = (count[left] < 1) | (count[right] < 1) | (count[left] + count[right] != count[:n_nodes])
    _refuse(odd, tree_of_node, "has counts of rows that do not add up")
    return Trees(
        n_features=n_features,
        first_node=first_node,
        first_leaf=first_leaf,
        feature=feature,
        threshold=lines["threshold"],
        decision=decision,
        left=left,
        right=right,
        parent=parent[:n_nodes],
        node_rows=lines["internal_count"],
        leaf_parent=np.ascontiguousarray(parent[n_nodes:][::-1]),
        leaf_rows=lines["leaf_count"],
        leaf_value=lines["leaf_value"],
        first_word=first_word,
        word=word,
    )


def _checked_words(
    said: list[dict[str, str]], lines: dict[str, Any], first_node: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the words of each node begin, and the words of all categorical splits."""
    is_categorical = np.isin(lines["decision_type"], _CATEGORICAL)
    n_words, words = np.zeros(len(is_categorical), dtype=np.int64), [np.empty(0, dtype=np.int64)]
    for tree, one in enumerate(said):
        nodes = first_node[tree] + np.flatnonzero(is_categorical[first_node[tree] : first_node[tree + 1]])
        # LightGBM numbers them as they were split: their threshold is that number.
        if lines["threshold"][nodes].tolist() != list(range(lines["num_cat"][tree])):
            raise ValueError(f"tree {tree} has categorical splits that are not numbered from 0 to num_cat")
        if len(nodes):
            bounds = _values([one["cat_boundaries"]], _WHOLE, "cat_boundaries", [len(nodes) + 1])
            if bounds[0] != 0 or (np.diff(bounds) < 1).any():
                raise ValueError(f"tree {tree} has cat_boundaries that do not rise from 0")
            n_words[nodes] = np.diff(bounds)
            words.append(_values([one["cat_threshold"]], r"\d{1,10}", "cat_threshold", [int(bounds[-1])]))
            if (words[-1] >= 2**32).any():
                raise ValueError(f"tree {tree} has a cat_threshold of more than 32 bits")
    return _starts(n_words), np.concatenate(words)


def _is_below(parent: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
    """Return which nodes have at least so many nodes above them."""
    above = np.append(parent, -1)
    for _ in range(depth - 1):
        above = np.append(parent, -1)[above]
    return above[:-1] >= 0


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _refuse(odd: NDArray[np.bool_], tree: NDArray[np.int64], what: str) -> None:
    if odd.any():
        raise ValueError(f"tree {tree[odd.argmax()]} {what}")


def _values(texts: Sequence[str], form: str, key: str, counts: Sequence[int] | None = None) -> NDArray[Any]:
    """Return the values of one line of all trees, one after the other; numbers are finite."""
    values = _texts(texts, form, key, counts)
    if form in (_NUMBER, _THRESHOLD):
        numbers = np.array(list(map(float, values)), dtype=np.float64)
        if form == _NUMBER and not np.isfinite(numbers).all():
            raise ValueError(f"{key} holds {values[np.isfinite(numbers).argmin()][:40]!r}")
        return numbers
    return np.array(list(map(int, values)), dtype=np.int64)


def _texts(texts: Sequence[str], form: str, key: str, counts: Sequence[int] | None) -> list[str]:
    """Return the values of one line of all trees as text after checking how many there are and their form."""
    for tree, (text, count) in enumerate(zip(texts, counts or [], strict=False)):
        found = text.count(" ") + 1 if text else 0
        if found != count:
            raise ValueError(f"{key} has {found} values; expected {count} (tree {tree})")
    together = " ".join(filter(None, texts))
    values = together.split(" ") if together else []
    if values and not re.fullmatch(rf"{form}(?: {form})*+", together):
        odd = next(value for value in values if not re.fullmatch(form, value))
        raise ValueError(f"{key} holds {odd[:40]!r}")
    return values
