"""MSDA-CR: multiscale distortion-aware cloud removal (Yu, Zhang, Pun 2022).

Three scales exchange features in a row of modules. Each module learns what cloud did to the
features (a distortion code), undoes it with a scale and a shift that the code controls, and
filters every place with kernels of its own. An image leaves at every scale, and the finest
is the result. The letter gives no widths: ours make the published 3.91 M parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .network import Remover, conv, doubled, halved

SCALES = 3


class Restoration(nn.Module):
    """One module at one scale: distortion code, control, dynamic filter; added to its input."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.code = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU())
        self.control = conv(width, 2 * width)
        self.filters = conv(width, kernel * kernel, 1)
        self.enter, self.leave = conv(width, width), conv(width, width)
        nn.init.zeros_(self.control.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        code = self.code(x)
        scale, shift = self.control(code).chunk(2, 1)
        mended = F.relu(self.enter(x)) * (1 + torch.tanh(scale)) + shift
        out: Tensor = x + self.leave(self.filtered(mended, code))
        return out

    def filtered(self, x: Tensor, code: Tensor) -> Tensor:
        """Each place averaged over its neighbours by weights (a softmax) that its code gives."""
        weights = torch.softmax(self.filters(code), 1)
        reach = self.kernel // 2
        around = F.pad(x, (reach, reach, reach, reach), mode="replicate")
        height, width = x.shape[-2:]
        out = torch.zeros_like(x)
        for row in range(self.kernel):
            for column in range(self.kernel):
                index = row * self.kernel + column
                out = (
                    out
                    + weights[:, index : index + 1]
                    * around[:, :, row : row + height, column : column + width]
                )
        return out


class MsdaCr(Remover):
    """See the module.

    Args:
        width: channels of the finest scale; others have `growth` more each.
        modules: how many modules each scale has. kernel: side of the dynamic filters.
    """

    multiple = 4

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 45,
        growth: int = 16,
        modules: int = 6,
        kernel: int = 3,
    ) -> None:
        super().__init__(inputs, outputs)
        widths = [width + growth * scale for scale in range(SCALES)]
        self.enter = nn.ModuleList(conv(inputs, w) for w in widths)
        self.rows = nn.ModuleList(
            nn.ModuleList(Restoration(w, kernel) for w in widths) for _ in range(modules)
        )
        self.coarser = nn.ModuleList(
            nn.ModuleList(conv(a, b, 1) for a, b in zip(widths, widths[1:], strict=False))
            for _ in range(modules)
        )
        self.finer = nn.ModuleList(
            nn.ModuleList(conv(b, a, 1) for a, b in zip(widths, widths[1:], strict=False))
            for _ in range(modules)
        )
        self.leave = nn.ModuleList(conv(w, outputs) for w in widths)
        for layer in self.leave:
            nn.init.zeros_(layer.weight)

    def stages(self, x: Tensor, truth: Tensor | None = None) -> tuple[Tensor, ...]:
        """The result at full size, half and a quarter."""
        pyramid = [x, halved(x), halved(halved(x))]
        features = [enter(image) for enter, image in zip(self.enter, pyramid, strict=True)]
        for row, coarser, finer in zip(self.rows, self.coarser, self.finer, strict=True):
            features = [module(f) for module, f in zip(row, features, strict=True)]
            down = [layer(halved(f)) for layer, f in zip(coarser, features, strict=False)]
            up = [layer(doubled(f)) for layer, f in zip(finer, features[1:], strict=True)]
            features = [
                features[0] + up[0],
                features[1] + down[0] + up[1],
                features[2] + down[1],
            ]
        return tuple(
            image[:, : self.outputs] + layer(f)
            for image, layer, f in zip(pyramid, self.leave, features, strict=True)
        )
