"""Fits things to the nine cells of a picture: the poses that come into question, and how well each explains
a cell under given colours. It must not know what the picture was meant to show."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edit_rrm_shapes.oracle.levels import shown
from edit_rrm_shapes.oracle.templates import (
    FIELD_FILLS,
    KINDS,
    PATCH,
    POSE_SHAPES,
    POSES,
    REACH,
    Templates,
)
from edit_rrm_shapes.oracle.treatments import Treatments
from edit_rrm_shapes.world.render import SIZE
from edit_rrm_shapes.world.scene import CELLS, COLOURS, SHAPES, Thing

_MARGIN = (PATCH - SIZE // 3) // 2
_FAINT = 5.0
"""A difference from the background, in levels, below which nobody would see a thing."""
_UNLIKELY = 25.0
"""A fit's gain, in units of the noise's variance, that noise alone reaches."""
_FIELDS = len(FIELD_FILLS)


@dataclass(frozen=True)
class Differences:
    """A picture less its background, cell by cell; 0 where a frame covers it or the picture ends."""

    differences: np.ndarray  # [cells, patch * patch, 3]
    ground: np.ndarray  # [cells, patch * patch, 3]
    frame: int

    @classmethod
    def of(cls, pixels: np.ndarray, ground: np.ndarray, frame: int) -> "Differences":
        """From pictures [96, 96, 3] of what is there and of the background alone."""
        seen = visible(frame)[..., None]
        return cls(_patches(pixels - ground) * seen, _patches(ground) * seen, frame)


def _patches(picture: np.ndarray) -> np.ndarray:
    """[cells, patch * patch, channels] of a picture [96, 96, channels], 0 beyond its edge."""
    padded = np.pad(picture.astype(np.float32), ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)))
    starts = range(0, SIZE, SIZE // 3)
    return np.stack([
        padded[top : top + PATCH, left : left + PATCH].reshape(PATCH**2, -1)
        for top in starts for left in starts
    ])  # fmt: skip


@lru_cache(maxsize=16)
def visible(frame: int) -> np.ndarray:
    """1 where a frame leaves something to see, else 0: [cells, patch * patch]. The soft edge is hidden."""
    edge = frame + 1 if frame else 0
    inside = np.zeros((SIZE, SIZE, 1), dtype=np.float32)
    inside[edge : SIZE - edge, edge : SIZE - edge] = 1
    return _patches(inside)[..., 0]


@lru_cache(maxsize=64)
def _areas(bank: Templates, frame: int) -> np.ndarray:
    """Squared norms of what is visible of the outlines in each cell, [poses, cells]."""
    return np.asarray((bank.outlines**2) @ visible(frame).T + 1.0)


def likely_poses(cells: Differences, bank: Templates, noise: float, per_shape: int) -> dict[int, np.ndarray]:
    """Numbers of the best poses of every shape for each cell that is not plainly empty, the cells of the
    strongest contrast first.

    Half of them explain the cell best with one colour, half explain best where it differs at all, which
    finds striped and dotted things whose colours lie to either side of the background.
    """
    strength = np.maximum(0, np.linalg.norm(cells.differences, axis=-1) - 2 * noise)
    maps = np.concatenate([cells.differences, strength[..., None]], axis=-1)  # [cells, pixels, 4]
    products = bank.outlines @ maps.transpose(1, 0, 2).reshape(PATCH**2, -1)
    products = products.reshape(len(POSES), len(CELLS), 4)
    areas = _areas(bank, cells.frame)
    gains = (products[..., :3] ** 2).sum(-1) / areas  # [poses, cells]
    contrasts = products[..., 3] * np.abs(products[..., 3]) / areas
    found = {}
    for cell in np.argsort(-gains.max(0)).tolist():
        best = gains[:, cell].argmax()
        height = max(gains[best, cell], contrasts[:, cell].max())
        if height < max(_UNLIKELY * noise**2, _FAINT**2 * areas[best, cell]):
            continue
        chosen: list[int] = []
        for shape in range(len(SHAPES)):
            poses = np.flatnonzero(shape == POSE_SHAPES)
            for measure in (gains[poses, cell], contrasts[poses, cell]):
                chosen += poses[np.argsort(measure)[-per_shape:]].tolist()
        found[cell] = np.unique(chosen)
    return found


@dataclass(frozen=True)
class CellFit:
    """One cell and some poses: everything needed to hold any colours against it without its pixels.

    With a pose's outline α and a fill's pattern β, the residual of colour c and pattern colour p is the
    squared norm of Y - α c - β (p - c), where Y = difference + α ground: a sum of inner products.
    """

    cell: int
    poses: np.ndarray  # [poses] into POSES
    moments: np.ndarray  # [poses, 7, 3, 5]: <Y,α>, <Y,β>, <α,α>, <α,β>, <β,β>
    energies: np.ndarray  # [poses] squared norm of Y
    empty: float
    """The residual of the empty cell."""

    @property
    def area(self) -> float:
        """Pixels of the thing, for putting residuals of different cells side by side."""
        return max(1.0, float(self.moments[0, 0, 0, 2]))

    def take(self, chosen: np.ndarray) -> "CellFit":
        """The fit of these poses alone."""
        return CellFit(self.cell, self.poses[chosen], self.moments[chosen], self.energies[chosen], self.empty)

    def free_residuals(self) -> np.ndarray:
        """Squared residuals, [poses, fields], if any two colours were allowed."""
        ya, yb, aa, ab, bb = np.moveaxis(self.moments.astype(np.float64), -1, 0)  # each [poses, 7, 3]
        determinant = aa * bb - ab**2
        patterned = determinant > 1e-3 * aa * (bb + 1)
        both = (ya**2 * bb - 2 * ya * yb * ab + yb**2 * aa) / np.where(patterned, determinant, 1)
        explained = np.where(patterned, both, ya**2 / np.maximum(aa, 1e-6)).sum(-1)
        return np.asarray(self.energies[:, None] - explained)

    def least_residual(self) -> float:
        """The smallest of the free residuals."""
        return float(self.free_residuals().min())

    def best_poses(self, per_shape: int) -> np.ndarray:
        """Numbers of the poses of every shape that fit best with any two colours."""
        left = self.free_residuals().min(1)
        shapes = POSE_SHAPES[self.poses]
        return np.concatenate([
            members[np.argsort(left[members])[:per_shape]]
            for members in (np.flatnonzero(shapes == shape) for shape in range(len(SHAPES)))
        ]).astype(int)  # fmt: skip

    def residuals(self, under: Treatments, noise: float) -> np.ndarray:
        """Squared residuals, [hypotheses, colours, poses, fields]."""
        colours = shown(under.colours, noise)
        steps = shown(under.patterns, noise) - colours
        weights = np.stack([-2 * colours, -2 * steps, colours**2, 2 * colours * steps, steps**2], axis=-1)
        hypotheses, palette = weights.shape[:2]
        fits = weights.reshape(hypotheses * palette, -1) @ self.moments.reshape(-1, 15).T.astype(np.float64)
        return np.asarray(
            fits.reshape(hypotheses, palette, len(self.poses), _FIELDS) + self.energies[:, None]
        )  # fmt: skip

    def thing(self, colour: int, pose: int, field: int) -> Thing:
        """The thing that these numbers of a residual stand for."""
        kind, dx, dy = POSES[self.poses[pose]]
        shape, radius = KINDS[kind]
        return Thing(shape, list(COLOURS)[colour], FIELD_FILLS[field], self.cell, dx, dy, radius)


def fit_cell(cells: Differences, cell: int, poses: np.ndarray, bank: Templates) -> CellFit:
    """Takes the inner products of a cell with the templates of some poses."""
    kinds, columns, rows = np.array([POSES[pose] for pose in poses]).T
    fields = bank.windows[kinds, :, REACH - rows, REACH - columns].reshape(len(poses), _FIELDS, -1)
    fields = fields * visible(cells.frame)[cell]
    patterns = fields.copy()
    patterns[:, 0] = 0  # a solid thing has no pattern
    outlines = fields[:, 0]
    targets = cells.differences[cell] + outlines[..., None] * cells.ground[cell]  # [poses, pixels, 3]
    moments = np.empty((len(poses), _FIELDS, 3, 5), dtype=np.float64)
    moments[..., 0] = outlines[:, None, :] @ targets
    moments[..., 1] = patterns @ targets
    moments[..., 2] = (outlines**2).sum(-1)[:, None, None]
    moments[..., 3] = patterns @ outlines[..., None]
    moments[..., 4] = (patterns**2).sum(-1)[..., None]
    energies = (targets.astype(np.float64) ** 2).sum((1, 2))
    empty = float((cells.differences[cell].astype(np.float64) ** 2).sum())
    return CellFit(cell, poses, moments, energies, empty)
