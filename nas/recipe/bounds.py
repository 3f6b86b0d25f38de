"""Numbers within bounds, as fields of proxies and recipes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
BelowOne = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Alpha = Annotated[float, Field(ge=0, le=4, allow_inf_nan=False)]  # Beta's rejection sampler slows above
MOST_PIXELS = 8192  # of an image's side: activations of larger ones fit no memory
Pixels = Annotated[int, Field(gt=0, le=MOST_PIXELS)]
Counted = Annotated[int, Field(gt=0, lt=2**31)]
