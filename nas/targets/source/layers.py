"""The source of layers that torch lacks."""

from __future__ import annotations

GUARDED_IMPORT = """\
try:
    from timm.models import register_model
except Exception:  # noqa: BLE001 - also a timm whose own imports fail
    try:
        from timm.models.registry import register_model  # timm 0.3.2
    except Exception:  # noqa: BLE001

        def register_model(function):
            \"\"\"Without timm there is no registry: the function as it is.\"\"\"
            return function
"""


LAYER_NORM_2D = """\
class LayerNorm2d(nn.LayerNorm):
    \"\"\"LayerNorm over the channels of (N, C, H, W).\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        shape, eps = self.normalized_shape, self.eps
        x = nn.functional.layer_norm(x, shape, self.weight, self.bias, eps)
        return x.permute(0, 3, 1, 2)"""


RMS_NORM = """\
class RMSNorm(nn.Module):
    \"\"\"RMSNorm over the last axis: a scale and no shift.\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight"""


RMS_NORM_2D = """\
class RMSNorm2d(RMSNorm):
    \"\"\"RMSNorm over the channels of (N, C, H, W).\"\"\"

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
        return x.permute(0, 3, 1, 2)"""


GROUP_NORM = """\
def group_norm(dim: int) -> nn.GroupNorm:
    \"\"\"GroupNorm in gcd(32, dim) groups; in half of that if a group were one channel.\"\"\"
    groups = math.gcd(32, dim)
    return nn.GroupNorm(groups // 2 if groups == dim > 1 else groups, dim)"""


LAYERS = {
    "LayerNorm2d": LAYER_NORM_2D,
    "RMSNorm": RMS_NORM,
    "RMSNorm2d": RMS_NORM_2D,
    "group_norm": GROUP_NORM,
}


GRN = """\
class GRN(nn.Module):
    \"\"\"Global response normalisation of {layout} (ConvNeXt V2).\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        response = torch.norm(x, p=2, dim={space}, keepdim=True)
        relative = response / (response.mean({channels}, keepdim=True) + 1e-6)
        return x + self.gamma{view} * (x * relative) + self.beta{view}"""


GRN_LAST = GRN.format(layout="(N, H, W, C)", space="(1, 2)", channels="-1", view="")


GRN_FIRST = GRN.format(layout="(N, C, H, W)", space="(2, 3)", channels="1", view="[:, None, None]")


POINTWISE = """\
class Pointwise(nn.Linear):
    \"\"\"1x1 convolution of (N, C, H, W); the weight is (out, in).\"\"\"

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias)
        return x.permute(0, 3, 1, 2)"""


POINTWISE_STRIDED = """\
class Pointwise(nn.Linear):
    \"\"\"1x1 convolution of (N, C, H, W); the weight is (out, in).\"\"\"

    def __init__(
        self, in_dim: int, dim: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__(in_dim, dim, bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        x = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias)
        return x.permute(0, 3, 1, 2)"""


DROP_PATH = """\
class DropPath(nn.Module):
    \"\"\"Stochastic depth: in training, whole samples of the branch are dropped.\"\"\"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not self.training:
            return x
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))"""


INIT_WEIGHTS = """\
def init_weights(module: nn.Module) -> None:
    \"\"\"Truncated normal weights of std .02 and zero biases, as in the official code.\"\"\"
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)"""
