"""What a name of timm's says: the family of the network, and what its weights have seen.

The rules are rows of data/timm_rules.csv. A name is MODEL.TAG; a pattern has to match the whole of what it is
held against, and the first that does counts:

* `weights`, the whole name: the pre-training set, where a tag does not tell it;
* `word`, a word of the tag: a set that the weights have seen, or `recipe` for whatever is none;
* `family`, the model: the family, with the pattern's groups.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from analysis.points.printed import IMAGENET_1K

RULES = "data/timm_rules.csv"
RECIPE = "recipe"


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    means: str
    note: str


def timm_family(model: str) -> str | None:
    """The family of a timm model, `convnext` or `swinv2_cr`; None where no rule knows the model."""
    return _first("family", model.partition(".")[0])


def timm_recipe(model: str) -> str:
    """The tag of a timm model's weights, which says how they were trained; "" without one."""
    return model.partition(".")[2]


def timm_pretrain(model: str) -> str | None:
    """What a timm model's weights have seen before ImageNet-1K: `imagenet-1k` for nothing else.

    Several sets are joined by "+". None where a word of the tag is unknown, where there is no tag, and where
    it names no training on ImageNet-1K.
    """
    exception = _first("weights", model)
    if exception is not None:
        return exception or None
    words = [word for word in timm_recipe(model).split("_") if word]
    while words and words[-1].isdigit():  # the image size of the fine-tuning
        words.pop()
    # a tag names data in the order of training: the last is what top-1 is of
    if not words or words[-1] != "in1k":
        return None
    seen = []
    for word in words:
        means = RECIPE if word == "in1k" else _first("word", word)
        if means is None:
            return None
        if means != RECIPE and means not in seen:
            seen.append(means)
    return "+".join(seen) or IMAGENET_1K


def timm_remarks(recipe: str) -> list[str]:
    """What is to be known of the words of a tag that name no data."""
    words = recipe.split("_")
    return [
        f"{word}: {rule.note}"
        for word in words
        for rule in _rules()["word"]
        if rule.means == RECIPE and rule.note and rule.pattern.fullmatch(word)
    ]


def _first(kind: str, text: str) -> str | None:
    """What the first rule that fits says of a text."""
    found = ((rule.pattern.fullmatch(text), rule.means) for rule in _rules()[kind])
    return next((match.expand(means) for match, means in found if match), None)


@cache
def _rules() -> dict[str, list[_Rule]]:
    text = resources.files("analysis").joinpath(RULES).read_text(encoding="utf-8")
    found: dict[str, list[_Rule]] = {"weights": [], "word": [], "family": []}
    for row in csv.DictReader(text.splitlines()):
        found[row["kind"]].append(_Rule(re.compile(row["pattern"]), row["means"], row["note"]))
    return found
