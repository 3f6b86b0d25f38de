"""The card of a proxy, made of what a study of it found: the file that is packaged beside a preset."""

from __future__ import annotations

import yaml

from analysis.order.answer import OrderAnswer
from analysis.scores.rank import RankInterval
from nas.data.sources.registry import called
from nas.proxy.card import Card, Measured, Tau, conditions, values_of
from nas.recipe.mistakes import validated
from nas.record.study import Study
from space.errors import InputError
from space.reading import parse_yaml
from space.words import plural

HEAD = "# What the order under this proxy agreed with: python -m analysis.agreement {study} --card FILE\n"
DIGITS = 3


def measured(study: Study, found: OrderAnswer) -> Measured:
    """Of the study's proxy and data, by its agreement with the published order. Raises `InputError`."""
    if study.simulated:
        raise InputError(f"study {study.name}: was simulated, so its proxy has no card")
    first, *others = found.agreements
    tau = _tau(first.tau)
    if tau is None:
        raise InputError(
            f"study {study.name}: all networks are equal on one side; there is no order to tell of"
        )
    members = [found.common.networks[i] for i in found.common.groups[first.group]]
    inside = set(found.common.groups[first.group])
    within = {
        one.group.partition(": ")[2]: _tau(one.tau)
        for one in others
        if ": " in one.group and set(found.common.groups[one.group]) < inside
    }
    signs = {sign.metric: _tau(sign.tau) for sign in found.signs}
    return Measured(
        conditions=conditions(study.mapping["proxy"], study.mapping["data"]),
        values=values_of(study.mapping["proxy"]),
        images=_images(study),
        against="ImageNet",
        over="the roadmap" if first.group.endswith("ConvNeXt-T") else first.group,
        study=study.name,
        networks=first.networks,
        seeds=min(len(network.ours) for network in members),
        tau=tau,
        within={name: tau for name, tau in within.items() if tau is not None},
        equal_flops=_tau(first.near),
        params=signs.get("params"),
        activations=signs.get("activations"),
    )


def _images(study: Study) -> str:
    """What was trained on: the folder's name, never its path."""
    proxy, spec = study.mapping["proxy"], str(study.mapping["data"].get("spec"))
    return f"{plural(proxy['train_size'], 'image')} of {called(spec)}"


def card_text(study: Study, found: OrderAnswer, held: str | None = None) -> str:
    """The file; `held`, a card of the same proxy and images over other networks, with this tau added.

    Raises `InputError`.
    """
    own = measured(study, found)
    there = None if held is None else validated(Card, parse_yaml(held, "card"), "card").measured
    if there is not None and there.conditions == own.conditions and there.over != own.over:
        own = there.model_copy(update={"also": there.also | {own.over: own.tau}})
    values = Card(measured=own).model_dump(mode="json")
    return HEAD.format(study=own.study) + yaml.safe_dump(values, sort_keys=False)


def _tau(found: RankInterval) -> Tau | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    ends = (round(end, DIGITS) for end in (found.value, found.low, found.high))
    return Tau(**dict(zip(("value", "low", "high"), ends, strict=True)))
