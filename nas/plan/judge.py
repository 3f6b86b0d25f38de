"""How a network is judged: the proxy, its data and its trainer, or a law in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.data.sources.registry import is_users
from nas.plan.fitting import check_data, fits, for_data, with_fields
from nas.plan.settings import PROXY_FLAGS, RunSettings, Settings
from nas.proxy import is_objective, is_simulated, is_table
from nas.proxy.card import card_line
from nas.proxy.proxy import Proxy, load_proxy, proxy_from
from nas.proxy.reduced import reduced
from nas.training.result import TrialFailed
from space.band import BandSampler
from space.budget import parse_budgets
from space.cost import NUM_CLASSES, RESOLUTION, cost_columns
from space.errors import MOST_NAME, InputError, first_line, printable, quoted, shortened
from space.networks import cost_of
from space.paths import at_home
from space.references import Reference
from space.tabled import Tabled
from space.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.data import Data
    from nas.engines.job import Trainer
    from nas.table.table import Table
    from space.networks import Recorded


FEW = 100  # validation images
MOST_SIMULATED = 86400.0  # seconds of a simulated epoch
SIMULATED = re.compile(r"simulated:([a-z_]+)(?::(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Judge:
    """How networks are judged: a proxy training, or a simulated one."""

    name: str
    epochs: int
    trainer: Trainer
    facts: dict[str, Any]  # of the proxy, for the record
    data: dict[str, Any]
    read: str = ""  # what was read of the data set, in a line
    fitted: str = ""  # what of the proxy was fitted to it, in a line
    resolution: int = RESOLUTION  # at which networks as asked for have the maps of those trained
    # to see how long a step takes; None where none is trained
    probe: Trainer | None = None
    passes: int = 0  # over the training images, in one training

    @property
    def card(self) -> str | None:
        """How far its order is ImageNet's, in a line; None where nothing is trained."""
        return card_line(self.facts, self.data)

    @property
    def few(self) -> str:
        """What few validation images of the user's own cannot tell, in a line; "" where there are more."""
        images = self.facts.get("val_size")
        if images is None or images >= FEW or "there" not in self.data:
            return ""
        count = plural(images, "validation image")
        return f"{count}: each is {100 / images:.2g} points, and no less can be told"

    def uses_gpu(self, device: str) -> bool:
        """Whether trainings of a search from this machine want a GPU unless told otherwise."""
        if self.name in ("simulated", "objective", "table") or not device.startswith(("auto", "cuda")):
            return False
        import torch

        return torch.cuda.is_available()

    @staticmethod
    def gpu_bytes() -> int | None:
        """Memory of this machine's first GPU; None without one."""
        import torch

        return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None

    def training_bytes(self, network: Recorded) -> int:
        """Device memory that a training takes, about."""
        if isinstance(network, Tabled):
            return 0
        # a law has neither
        resolution, batch = self.facts.get("resolution", RESOLUTION), self.facts.get("batch_size", 1)
        trained = reduced(network, self.facts.get("width_share", 1), self.facts.get("stem_stride", 4))
        return int(trained.cost(resolution, NUM_CLASSES).training_bytes(batch))


@dataclass(frozen=True)
class ChosenJudge:
    """A judge before its data set is read: what can be refused without it is refused first."""

    name: str
    resolution: int  # at which networks as asked for have the maps of those trained
    epochs: int
    load: Callable[[], Judge]  # raises `InputError`
    table: Table | None = None  # whose networks are searched, where it is a table
    follows: bool = False  # whether the data may ask for other epochs


def chosen_judge(settings: RunSettings) -> ChosenJudge:
    """The proxy of the settings, or a law, a table or a function in its place. Raises `InputError`."""
    known = simulated_judge(settings) or table_judge(settings) or objective_judge(settings)
    return known or proxy_judge(settings)


def table_judge(settings: RunSettings) -> ChosenJudge | None:
    """A table of what others trained; None where the proxy is another one. Raises `InputError`."""
    if not is_table(settings.proxy):
        return None
    from nas.table.table import read_table
    from nas.table.trainer import TableTrainer

    if settings.data is not None:
        raise InputError("--data: the accuracies of a table are on its own data set")
    refuse_fields(settings, "a table's trainings are over, and have no fields")
    table = read_table(table_path(settings.proxy))
    name = f"table:{table.name}"
    own = {"fingerprint": table.fingerprint, "data": table.declared.data or table.name}
    facts = {"name": name, **own, "epochs": table.epochs, "seeds": table.seeds}
    data = {"spec": name, "fingerprint": table.fingerprint, "classes": None}
    judge = Judge("table", table.epochs, TableTrainer(table), facts, data, table.read)
    return ChosenJudge(judge.name, RESOLUTION, judge.epochs, lambda: judge, table)


def table_path(proxy: str) -> Path:
    """The file of `table:FILE`. Raises `InputError`."""
    _, _, file = proxy.partition(":")
    if not file:
        raise InputError(
            f"proxy {quoted(proxy)}: write it like table:FILE, a YAML that names a table's columns"
        )
    return Path(at_home(file))


def simulated_judge(settings: RunSettings) -> ChosenJudge | None:
    """A law in place of training, for a rehearsal; None where the proxy is a real one.

    Raises `InputError`.
    """
    from nas.proxy.simulated import LAWS, SimulatedTrainer

    if not is_simulated(settings.proxy):
        return None
    if settings.data is not None:
        raise InputError("--data: a simulated proxy looks at no images; leave it out")
    refuse_fields(settings, "a simulated proxy trains nothing, and has no fields")
    match = SIMULATED.fullmatch(settings.proxy) if len(settings.proxy) <= 100 else None
    seconds = float(match[2] or 0) if match else 0.0
    if match is None or match[1] not in LAWS or seconds > MOST_SIMULATED:
        raise InputError(
            f"proxy {quoted(settings.proxy)}: write it like simulated:LAW or simulated:LAW:SECONDS "
            f"(of an epoch, at most {MOST_SIMULATED:g}); "
            f"the laws are {', '.join(LAWS)}"
        )
    trainer = SimulatedTrainer(LAWS[match[1]], seconds=seconds)
    law = f"simulated:{match[1]}"
    facts = {"name": law, "fingerprint": law, "data": law, "epochs": trainer.epochs}
    data = {"spec": law, "fingerprint": law, "classes": None}
    judge = Judge("simulated", trainer.epochs, trainer, facts, data)
    return ChosenJudge(judge.name, RESOLUTION, judge.epochs, lambda: judge)


def objective_judge(settings: RunSettings) -> ChosenJudge | None:
    """A user's own function in place of training; None where the proxy is a real one.

    Raises `InputError`.
    """
    if not is_objective(settings.proxy):
        return None
    from nas.proxy.objective import ObjectiveTrainer, known, takes_seed

    name, objective = settings.proxy, known(settings.proxy)
    assert isinstance(settings, Settings)  # a measurement has no function
    instead = "an objective takes the place of proxy and data; leave it out"
    if settings.data is not None:
        raise InputError(f"data {quoted(settings.data)}: {instead}")
    refuse_fields(settings, instead)
    if settings.scheduler not in (None, "none"):
        raise InputError("scheduler: an objective is one call, which nothing stops early; leave it out")
    if settings.confirmations != (0, 0) and not takes_seed(objective):
        raise InputError(
            "confirm: with another seed the objective gives the same; take it as objective(network, budget, "
            "seed), or leave confirm out"
        )
    trainer = ObjectiveTrainer(objective, parse_budgets(settings.budget, settings.band), settings.device)
    facts = {"name": name, "fingerprint": name, "data": name, "epochs": trainer.epochs}
    judge = Judge("objective", 1, trainer, facts, {"spec": name, "fingerprint": name, "classes": None})
    return ChosenJudge(judge.name, RESOLUTION, judge.epochs, lambda: judge)


def refuse_fields(settings: RunSettings, why: str) -> None:
    """Where nothing is trained there is nothing to set. Raises `InputError`."""
    settings.refuse_named(PROXY_FLAGS, why)
    for name in settings.set:
        raise InputError(f"--set {name}: {why}")


def proxy_judge(settings: RunSettings) -> ChosenJudge:
    """The proxy of the settings. Raises `InputError`."""
    from nas.proxy.trainer import ProxyTrainer

    name, asked, device = choose_proxy(settings)
    check_data(name, asked, settings)

    def loaded() -> Judge:
        found = for_data(name, asked, settings)
        proxy = found.proxy
        data = proxy.load_data()
        if data.num_classes < 2:
            raise InputError(f"data {quoted(proxy.data)}: has one class; there is nothing to tell apart")
        classes = getattr(data, "classes", None)
        return Judge(
            name,
            proxy.epochs,
            ProxyTrainer(proxy, device, data=data),
            proxy_facts(name, proxy, data),
            {
                "spec": data.spec,
                "fingerprint": data.fingerprint,
                "classes": None if classes is None else list(classes),
                **found.facts(),
            },
            getattr(data, "read", ""),
            found.line(name),
            proxy.seen_resolution,
            # where each network's learning rate is looked for, a step with the first takes as long
            ProxyTrainer(proxy.changed(lr=proxy.rates[0]), device, data=data),
            passes(proxy),
        )

    return ChosenJudge(name, asked.seen_resolution, asked.epochs, loaded, follows=fits(name, asked, settings))


def choose_proxy(settings: RunSettings) -> tuple[str, Proxy, str]:
    """The proxy's name, the proxy with the settings' data set, and the device."""
    import torch

    from nas.training.device import choose_device

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    name = settings.proxy
    if name == "auto":
        cuda = torch.cuda.is_available() and settings.device.startswith(("auto", "cuda"))
        # slim networks on whole maps see 60,000 photographs, where `cpu` shows 4,608 images: studies/order
        photos = settings.data is not None and is_users(settings.data)
        name = "gpu" if cuda else "photos" if photos else "cpu"
    if isinstance(name, str):
        label, proxy = shortened(printable(Path(name).stem), MOST_NAME), load_proxy(name)
    else:
        label, proxy = "custom", proxy_from(name, "proxy")
    if settings.data is not None:
        proxy = proxy.changed(data=settings.data)
    proxy = with_fields(proxy, settings.proxy_fields, f"proxy {label}")
    device = proxy.device if settings.device == "auto" else settings.device
    try:
        if settings.engine == "local":
            return label, proxy, str(choose_device(device))
        if device != "auto":
            torch.device(device)  # a name at least: which devices the workers have, this process cannot know
    except (TrialFailed, RuntimeError) as failure:
        raise InputError(first_line(failure)) from None
    return label, proxy, device


def proxy_facts(name: str, proxy: Proxy, data: Data) -> dict[str, Any]:
    """The proxy as the record has it."""
    return {
        "name": name,
        "fingerprint": proxy.fingerprint(data),
        **proxy.to_dict(),
        "num_classes": data.num_classes,
        "train_size": len(data.train),
        "val_size": len(data.val),
    }


def passes(proxy: Proxy) -> int:
    """Epochs of one training, those in which its learning rate is looked for included."""
    from nas.proxy.ladder import SHARE

    tries = len(proxy.rates) if len(proxy.rates) > 1 else 0
    return proxy.epochs + tries * max(1, proxy.epochs // SHARE)


def check_resolution(judge: ChosenJudge | Judge, references: Sequence[Reference]) -> None:
    """Refuse a proxy whose images are too small for the references."""
    try:
        for reference in references:
            cost_of(reference.network, judge.resolution)
    except InputError as error:
        raise InputError(f"proxy {judge.name}: {error}") from None


def check_candidates(judge: ChosenJudge, band: BandSampler) -> None:
    """Refuse a proxy whose images are too small for the networks to come, as far as draws can tell."""
    import numpy as np

    try:
        cost_columns(band.space.columns(band.sample_codes(1000, np.random.default_rng(0))), judge.resolution)
    except InputError as error:
        raise InputError(f"proxy {judge.name}: {error}") from None
