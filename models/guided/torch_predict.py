"""`estimate.predict` on torch: the same mathematics for a GPU, equal to float32 rounding.

What the scene taught (`Regression`) is learnt once, on the CPU; here a tile goes to the device,
everything that is heavy in pixels is done there for all bands at once, and the estimate comes back.
Each function says which one of NumPy it stands for; tests/full compares the results.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base import Flags, Floats, Tile
from ..holdout import distance_to_valid
from ..planes import SAMPLE
from . import features as feats
from .dates import impute
from .estimate import REACH, Estimate, certainty, windows_of
from .learners import coarse, global_regression, random_features, robust, solve
from .learners.ferns import COMPONENTS
from .learners.statistics import CELL, LEVEL, Cells, cells_over, grow, to_cells
from .regression import Regression, Settings, straight
from .space import residual, spatial, terrain
from .torch_ferns import grown
from .torch_planes import MaskPyramid, block_means, blur, cascade, enlarge, exactly, framed, pad_to, slopes
from .torch_planes import solve as membrane


def predict(tile: Tile, target: Floats, known: Regression, settings: Settings, device: str) -> Estimate:
    """`estimate.predict` on `device` (a torch device such as `cuda`)."""
    exactly()
    with torch.inference_mode():
        there = torch.device(device)
        channels, seen = _channels(tile, known.chosen, there)
        complete, share = _complete(channels, seen, known.joint)
        guides = None if known.guides is None else terrain.features(tile, known.guides)
        stack = _features(known.basis, complete, guides)
        overall = None
        if known.local < 1 or settings.ferns:
            if known.global_fit.further is not None:
                complete = _further(
                    complete, *_channels(tile, known.global_fit.more, there), known.global_fit.further
                )
            overall = _globally(complete, known.global_fit.regression)
        del channels, complete
        goal = torch.as_tensor(target, device=there)
        mean, std = torch.full_like(goal, math.nan), torch.full_like(goal, math.nan)
        inputs = [
            stack if part.nonlinear is None else _nonlinear(stack, part.nonlinear) for part in known.parts
        ]
        groups = [group for group in coarse.groups(tile.valid, tile.gaps) if tile.gaps[group[0]].any()]
        parts = [torch.full_like(goal, math.nan) for _ in known.parts]
        for group in groups:
            local = _Local(tile, goal[group], group[0], share, known, settings)
            for part, features, said in zip(known.parts, inputs, parts, strict=True):
                said[group] = local.fit(features, part.field.values[..., group], part.field)
        bushes = None
        if settings.ferns and overall is not None:
            place = tile.corner
            first = inputs[-1]
            if known.parts[-1].nonlinear is None:
                alone = straight(known.parts[0], stack.cpu().numpy(), *place, tile.step)
                first = torch.as_tensor(alone, device=there)
            leading = stack[: min(COMPONENTS, len(known.basis.axes))]
            weight = _weight(share, torch.as_tensor(np.all(tile.valid, axis=0), device=there))
            near = torch.isfinite(parts[0]).any(0).cpu().numpy()
            bushes = grown(known.ferns, (leading, first, overall), goal, weight, near, place, settings.ferns)
        for group in groups:
            gap, valid = tile.gaps[group[0]], tile.valid[group[0]]
            one, other = parts[0][group], parts[-1][group]
            fitted, apart = (one + other) / 2, ((one - other) / 2) ** 2
            if overall is not None and known.local < 1:
                apart = apart + (fitted - overall[group]) ** 2
            if bushes is not None:
                apart = apart + ((fitted - bushes[group]) / 2) ** 2
                fitted = (fitted + bushes[group]) / 2
            if overall is not None and known.local < 1:
                fitted = overall[group] + known.local * (fitted - overall[group])
            mean[group], std[group] = _with_rim(
                fitted,
                apart,
                goal[group],
                torch.as_tensor(valid, device=there) & torch.isfinite(fitted[0]),
                torch.as_tensor(distance_to_valid(gap), device=there),
                known.coherence[group],
                known.noise[group],
                settings.cycles,
                known.plate,
            )
        std /= torch.as_tensor(certainty(share.cpu().numpy()), device=there)
        main = torch.full(seen.shape[1:], -1, dtype=torch.int16, device=there)
        for index, clear in reversed(list(zip(known.chosen, seen, strict=True))):
            main[clear] = index
        return Estimate(mean.cpu().numpy(), std.cpu().numpy(), (share > 0).cpu().numpy(), main.cpu().numpy())


def _channels(tile: Tile, chosen: tuple[int, ...], there: torch.device) -> tuple[Tensor, Tensor]:
    """`regression.channels_of`, and (n, H, W) where each date is clear."""
    images = [torch.as_tensor(tile.references[k].image, device=there).float() for k in chosen]
    return torch.cat(images), torch.stack([torch.isfinite(image).all(0) for image in images])


def _complete(channels: Tensor, seen: Tensor, joint: impute.Joint) -> tuple[Tensor, Tensor]:
    """`impute.complete`."""
    device, shape, owner = channels.device, channels.shape, joint.owner
    mean = torch.as_tensor(joint.mean.astype(np.float32), device=device)[:, None]
    factor = torch.as_tensor((1 / joint.scale).astype(np.float32), device=device)[:, None]
    z = (channels.reshape(len(channels), -1) - mean) * factor
    share = seen.float().mean(0)
    dates = len(seen)
    flat = seen.reshape(dates, -1)
    bits = 2 ** torch.arange(dates, device=device)
    code = (flat * bits[:, None]).sum(0)
    for pattern in torch.bincount(code, minlength=1 << dates)[:-1].nonzero().ravel().tolist():
        there = np.array([bool(pattern >> k & 1) for k in range(dates)])[owner]
        where = (code == pattern).nonzero().ravel()
        missing = torch.as_tensor(np.flatnonzero(~there), device=device)
        if there.any():
            weights = torch.as_tensor(impute.conditional(joint, there, ~there), device=device)
            given = z[torch.as_tensor(np.flatnonzero(there), device=device)][:, where]
            z[missing[:, None], where] = weights @ given
        else:
            z[missing[:, None], where] = 0.0
    z = z.reshape(shape)
    for k, clear in enumerate(seen):
        if bool(clear.any()) and not bool(clear.all()):
            mine, weights = impute.beyond_the_others(joint, k)
            error = torch.as_tensor(weights, device=device) @ z.reshape(len(z), -1)
            surface = cascade(error.reshape(-1, *shape[1:]), MaskPyramid(clear), sweeps=2)
            z[torch.as_tensor(mine, device=device)] += torch.where(clear, 0.0, surface)
    return z, share


def _further(complete: Tensor, channels: Tensor, seen: Tensor, further: impute.Further) -> Tensor:
    """`impute.complete_further`."""
    device, flat = complete.device, complete.reshape(len(complete), -1)
    mean, scale = (torch.as_tensor(a, device=device)[:, None, None] for a in (further.mean, further.scale))
    z = (channels - mean) / scale
    for k, clear in enumerate(seen):
        if bool(clear.all()):
            continue
        mine = np.flatnonzero(further.owner == k)
        guess = (torch.as_tensor(further.weights[mine], device=device) @ flat).reshape(-1, *clear.shape)
        own = z[torch.as_tensor(mine, device=device)]
        if bool(clear.any()):
            error = torch.where(clear, own - guess, 0.0)
            guess = guess + cascade(error, MaskPyramid(clear), sweeps=2)
        z[torch.as_tensor(mine, device=device)] = torch.where(clear, own, guess)
    return torch.cat([complete, z])


def _features(basis: feats.Basis, complete: Tensor, guides: Floats | None) -> Tensor:
    """`features.build`, and terrain and radar behind it."""
    axes = torch.as_tensor(basis.axes, device=complete.device)
    components = (axes @ complete.reshape(len(complete), -1)).reshape(len(axes), *complete.shape[1:])
    parts = [components]
    if basis.fine:
        leading = components[: basis.fine]
        planes = torch.stack([*slopes(leading), *(blur(leading, sigma) for sigma in feats.BLURS)], dim=1)
        scale = torch.as_tensor(basis.fine_scale, device=complete.device)
        parts.append(planes.reshape(-1, *complete.shape[1:]) * scale[:, None, None])
    if guides is not None:
        parts.append(torch.as_tensor(guides, device=complete.device))
    return torch.cat(parts)


def _globally(complete: Tensor, known: global_regression.GlobalRegression) -> Tensor:
    """`global_regression.predict`."""
    weights = torch.as_tensor(known.weights, device=complete.device)
    out = weights[:, 1:] @ complete.reshape(len(complete), -1) + weights[:, :1]
    return out.reshape(-1, *complete.shape[1:])


def _plate(values: Tensor, moving: Tensor) -> Tensor:
    """`spatial.plate` as `residual.Rim` sweeps it."""
    stencil = torch.as_tensor(spatial.operator(), device=values.device)[None, None]
    step, move = torch.zeros_like(values), moving.float() * spatial.RATE
    for _ in range(residual.SWEEPS):
        change = torch.nn.functional.conv2d(framed(values, 2, "mirror")[:, None], stencil)[:, 0]
        step = spatial.MOMENTUM * step - move * change
        values = values + step
    return values


def _nonlinear(stack: Tensor, known: random_features.RandomFeatures) -> Tensor:
    """`random_features.predict`."""
    flat = stack.reshape(len(stack), -1)
    directions, offsets, weights = (
        torch.as_tensor(a, device=stack.device) for a in (known.directions, known.offsets, known.weights)
    )
    units = 1 + len(directions)
    hidden = torch.tanh(directions @ flat + offsets[:, None])
    out = weights[1:units].T @ hidden + weights[units:].T @ flat + weights[:1].T
    return out.reshape(-1, *stack.shape[1:])


def _linear(coefficients: Tensor, features: Tensor) -> Tensor:
    """`solve.linear`."""
    flat = coefficients[1:].T @ features.reshape(len(features), -1) + coefficients[0, :, None]
    return flat.reshape(-1, *features.shape[1:])


def _weight(share: Tensor, valid: Tensor) -> Tensor:
    """`regression.weight_of`, 0 where the target is unknown."""
    return torch.where(valid & (share > 0), 0.3 + 0.7 * share, 0.0)


class _Local:
    """`estimate._local` of the bands that share a mask."""

    def __init__(
        self,
        tile: Tile,
        target: Tensor,
        band: int,
        share: Tensor,
        known: Regression,
        settings: Settings,
    ) -> None:
        self._gap, self._valid = tile.gaps[band], tile.valid[band]
        self._target, self._settings = target, settings
        self._valid_there = torch.as_tensor(self._valid, device=target.device)
        self._share, self._step = share, tile.step
        self._row, self._column = tile.corner
        self._windows = windows_of(known, settings)

    def fit(self, features: Tensor, values: Floats, field: solve.Field) -> Tensor:
        """(n, H, W) one part's prediction around the gaps; `values` are the field's for these bands."""
        bands = len(self._target)
        field = solve.Field(values, field.size, field.top, field.left)
        if self._settings.local:
            cells = cells_over(self._row, self._column, *self._gap.shape)
            penalty = coarse.penalties(len(features), self._settings.slope, self._settings.intercept)
            wanted = solve.near(self._gap, cells, self._row, self._column, REACH + CELL)
            needed = grow(wanted, math.ceil(2.7 * self._windows[0] / CELL))
            expected = self._apply(field, features, self._valid)
            share = self._share
            weight = _weight(share, self._valid_there)
            weight = weight * self._cauchy(self._target - expected)
            sums = self._moments(features, weight, cells, needed)
            for sigma in self._windows:
                field = self._refine(sums, cells, sigma * self._step, field, penalty, bands, wanted)
        return self._apply(field, features, grow(self._gap, REACH))

    def _cauchy(self, error: Tensor) -> Tensor:
        """`robust.cauchy`."""
        known = self._valid_there & (self._share > 0)
        places = known.ravel().nonzero().ravel()
        if not len(places):
            return torch.ones_like(self._share)
        sample = places[:: max(1, len(places) // SAMPLE)]
        flat = error.reshape(len(error), -1)[:, sample].abs()
        deviation = 1.4826 * torch.quantile(flat, 0.5, dim=1) + 1e-6
        scaled = torch.where(known, error, 0.0) / (robust.CUT * deviation)[:, None, None]
        return 1 / (1 + (scaled * scaled).mean(0))

    def _blocks(self, planes: Tensor, grid: Cells, wanted: Flags) -> Tensor:
        """(n, P, size^2) pixels of the wanted blocks of a grid over (P, H, W), 0 beyond the tile."""
        height, width = planes.shape[1:]
        top, left = self._row - grid.top, self._column - grid.left
        bottom, right = grid.rows * grid.size - top - height, grid.columns * grid.size - left - width
        wide = torch.nn.functional.pad(planes, (left, right, top, bottom))
        blocks = wide.reshape(len(planes), grid.rows, grid.size, grid.columns, grid.size)
        chosen = torch.as_tensor(wanted, device=planes.device)
        return blocks.permute(1, 3, 0, 2, 4)[chosen].reshape(-1, len(planes), grid.size**2)

    def _moments(self, features: Tensor, weight: Tensor, cells: Cells, needed: Flags) -> Tensor:
        """`statistics.moments(...).level_free()`: (rows, columns, q, q)."""
        root = weight.sqrt()
        targets = torch.where(root > 0, self._target, 0.0)
        weighted = torch.cat([root[None], features * root, targets * root])
        used = to_cells((root > 0).cpu().numpy(), cells, self._row, self._column) & needed
        blocks = self._blocks(weighted, cells, used)
        products = blocks @ blocks.transpose(1, 2)
        sums = products[:, :1]
        products = products - LEVEL / (1 + LEVEL * sums[..., :1]) * sums * sums.transpose(1, 2)
        out = weighted.new_zeros(cells.rows, cells.columns, len(weighted), len(weighted))
        out[torch.as_tensor(used, device=out.device)] = products
        return out

    def _refine(
        self,
        sums: Tensor,
        cells: Cells,
        sigma: float,
        parent: solve.Field,
        penalty: Floats,
        bands: int,
        active: Flags,
    ) -> solve.Field:
        """`solve.refine`: windows and solutions on the device, the field itself is small."""
        size = cells.size * self._step
        field = solve.inherited(cells, parent, self._step)
        if not active.any():
            return field
        rows, columns = (_window(n, sigma / size, sums) for n in (cells.rows, cells.columns))
        flat = sums.reshape(cells.rows, cells.columns, -1)
        smooth = torch.einsum("rs,sck->rck", rows, torch.einsum("cd,rdk->rck", columns, flat))
        chosen = torch.as_tensor(active, device=sums.device)
        matrices = smooth.reshape(sums.shape)[chosen]
        count = matrices.shape[-1] - bands
        ridge = torch.as_tensor(penalty, device=sums.device)
        prior = torch.as_tensor(field.values[active], device=sums.device)
        left = matrices[:, :count, :count] + torch.diag(ridge)
        right = matrices[:, :count, count:] + ridge[:, None] * prior
        field.values[active] = torch.linalg.solve(left, right).cpu().numpy()
        return field

    def _apply(self, field: solve.Field, features: Tensor, where: Flags) -> Tensor:
        """`solve.apply`."""
        if field.alike:
            said = _linear(torch.as_tensor(field.values[0, 0], device=features.device), features)
            return torch.where(torch.as_tensor(where, device=said.device), said, math.nan)
        grid, wanted, first = solve.between(field, where, self._row, self._column, self._step)
        blocks = self._blocks(torch.nn.functional.pad(features, (0, 0, 0, 0, 1, 0), value=1.0), grid, wanted)
        bands = field.values.shape[-1]
        corners = torch.as_tensor(
            solve.corners(field, *(np.nonzero(wanted) + np.array(first)[:, None])), device=features.device
        )
        parts = (corners @ blocks).reshape(len(blocks), 4, bands, grid.size**2)
        weights = torch.as_tensor(solve.ramps(grid.size), device=features.device)
        mixed = (parts * weights.reshape(4, 1, -1)).sum(1)
        out = features.new_full((grid.rows, grid.columns, bands, grid.size, grid.size), math.nan)
        out[torch.as_tensor(wanted, device=out.device)] = mixed.reshape(-1, bands, grid.size, grid.size)
        whole = out.permute(2, 0, 3, 1, 4).reshape(bands, grid.rows * grid.size, grid.columns * grid.size)
        top, left = self._row - grid.top, self._column - grid.left
        return whole[:, top : top + where.shape[0], left : left + where.shape[1]]


def _window(count: int, sigma: float, like: Tensor) -> Tensor:
    """(count, count) Gaussian weights of cells along a line, 0 beyond the radius of `Moments.window`."""
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    kernel = np.where(apart <= math.ceil(2.7 * sigma), np.exp(-0.5 * (apart / sigma) ** 2), 0)
    return torch.as_tensor(kernel.astype(np.float32), device=like.device)


def _coarse(planes: Tensor, sigma: float) -> Tensor:
    """`residual._coarse`."""
    factor = residual.blocks(sigma)
    return blur(block_means(pad_to(planes, factor), factor), sigma / factor)


def _local_mean(values: Tensor, known: Tensor, sigma: float, prior: Tensor | float, doubt: float) -> Tensor:
    """`residual.local_mean`."""
    mean = _drawn(_coarse(values, sigma), _coarse(known, sigma), sigma, prior, doubt)
    return enlarge(mean, residual.blocks(sigma))[:, : values.shape[1], : values.shape[2]]


def _drawn(total: Tensor, weight: Tensor, sigma: float, prior: Tensor | float, doubt: float) -> Tensor:
    """`residual._drawn`."""
    share = doubt / (2 * math.pi * sigma * sigma)
    return (total + share * prior) / (weight + share)


def _with_rim(
    fitted: Tensor,
    apart: Tensor,
    target: Tensor,
    known: Tensor,
    distance: Tensor,
    coherence: NDArray[np.float64],
    noise: NDArray[np.float64],
    cycles: int,
    plate: float,
) -> tuple[Tensor, Tensor]:
    """`residual.Rim`: mean with the rim's error carried in, and the standard deviation."""
    left = torch.where(known, target - fitted, 0.0)
    count = int(known.sum())
    if not count:
        variance = torch.as_tensor(noise.astype(np.float32), device=left.device)[:, None, None]
        return fitted, (variance + torch.zeros_like(left) + apart).sqrt()
    there = known.float()[None]
    slow = _local_mean(left, there, residual.NEAR, 0.0, residual.NEAR_DOUBT)
    sheet = membrane(left, MaskPyramid(known), cycles)
    decay = torch.exp(-(distance - 1).clamp(min=0) / residual.LENGTH)
    beta = torch.as_tensor(coherence.astype(np.float32), device=left.device)[:, None, None]
    carried = beta * (slow + decay * (sheet - slow))
    if plate > 0:
        carried = carried + plate * (_plate(sheet, ~known & (distance <= residual.NEAR)) - carried)
    mean = fitted + carried
    squares = left * left
    whole = (squares.sum((1, 2), dtype=torch.float64) / count).float()[:, None, None]
    return mean, (_variance(squares, there, whole) + apart).sqrt()


def _variance(squares: Tensor, known: Tensor, mean: Tensor) -> Tensor:
    """`residual.variance` of squares (n, H, W), 0 where unknown; `mean` (n, 1, 1) is theirs."""
    out, side = mean, residual.blocks(residual.AROUND[0][0])
    for sigma, doubt in residual.AROUND:
        total, weight = _coarse(squares, sigma), _coarse(known, sigma)
        prior = enlarge(out, side // residual.blocks(sigma))[:, : weight.shape[1], : weight.shape[2]]
        out, side = _drawn(total, weight, sigma, prior, doubt), residual.blocks(sigma)
    return enlarge(out, side)[:, : squares.shape[1], : squares.shape[2]] + residual.FLOOR
