"""Global response normalisation (ConvNeXt V2, Woo et al. 2023, section 3.2), on the hidden channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from space.option import BUILT, Option, OptionCost, Values

if TYPE_CHECKING:
    from torch import nn


class Grn(Option):
    """Whether a block has it."""

    name, label, values = "grn", "GRN", (False, True)
    targets = (*BUILT, "convnext", "timm", "transformers", "python")
    in_every_fingerprint = True

    def cost(self, value: Values, channels: Values, area: Values) -> OptionCost:
        """A scale and a shift a channel; backward keeps the map as it came and as it was normalised."""
        del value
        return OptionCost(params=2 * channels, saved=2 * channels * area)

    def layer(self, value: bool, channels: int) -> nn.Module:
        """See `space.layers`."""
        from space.layers import GRN

        del value
        return GRN(channels)
