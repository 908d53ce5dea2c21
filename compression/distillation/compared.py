"""What each distilling loss compares, as one matrix a network: to be looked at, before it becomes a number.

Shapes: B images, K classes, C channels, H×W positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compression.distillation.by_features import cosines, flow, over_mean
from compression.distillation.views import View, exact, standard, unit


@dataclass(frozen=True)
class Compared:
    """What a loss sees of one network.

    Attributes:
        what: in words; ``{T}`` stands for the temperature.
        rows: what a row is.
        columns: what a column is.
        seen: from a view, the labels and the temperature to the matrix, NaN where nothing is compared. Where a
            loss is a mean over images of whole matrices, the matrix is that of the first image.
    """

    what: str
    rows: str
    columns: str
    seen: Callable[[View, Tensor, float], Tensor]


def _probabilities(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return (exact(view.logits) / temperature).softmax(1)


def _logits(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return exact(view.logits)


def _others(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    true_BK = F.one_hot(labels_B, view.logits.shape[1]).bool()
    p_BK = (exact(view.logits) / temperature).masked_fill(true_BK, -torch.inf).softmax(1)
    return p_BK.masked_fill(true_BK, torch.nan)


def _shapes(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    z_BK = exact(view.logits)
    scores_BK: Tensor = standard(z_BK) * z_BK.shape[1] ** 0.5 / temperature
    return scores_BK.softmax(1)


def _correlated(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return standard(_probabilities(view, labels_B, temperature))


def _certain(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return exact(view.logits).softmax(1)


def _features(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return exact(view.features[0])[0].flatten(1)


def _attention(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    map_HW: Tensor = exact(view.features[0])[0].square().mean(0)
    return unit(map_HW.flatten()).reshape(map_HW.shape)


def _distances(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    f_BD = exact(view.features[-1]).flatten(1)
    near, far = torch.triu_indices(len(f_BD), len(f_BD), 1)
    found_BB = f_BD.new_zeros(len(f_BD), len(f_BD))
    found_BB[near, far] = over_mean(F.pdist(f_BD))
    return found_BB + found_BB.T


def _angles(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return cosines(exact(view.features[-1]).flatten(1))[0]


def _likeness(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    f_BD = exact(view.features[-1]).flatten(1)
    return unit(f_BD @ f_BD.T)


def _flow(view: View, labels_B: Tensor, temperature: float) -> Tensor:
    return flow(exact(view.features[0]), exact(view.features[1]))[0]


COMPARED: dict[str, Compared] = {
    "soft_targets": Compared("softened probabilities at T = {T}", "image", "class", _probabilities),
    "logits": Compared("logits as they are", "image", "class", _logits),
    "dkd": Compared("probabilities at T = {T} among the wrong classes", "image", "class", _others),
    "standardised": Compared("softened z-scores of the logits at T = {T}", "image", "class", _shapes),
    "dist": Compared("each image's probabilities at T = {T}, centred and of length 1", "image", "class", _correlated),
    "born_again": Compared("probabilities as they are", "image", "class", _certain),
    "hint": Compared("features of one image; a learned layer makes them one width", "channel", "position", _features),
    "attention": Compared("where in one image the channels are active", "row", "column", _attention),
    "rkd_distance": Compared("distances between images, as multiples of their mean", "image", "image", _distances),
    "rkd_angle": Compared("cosines of the angles that two images form at the first", "image", "image", _angles),
    "similarity": Compared("how alike the features of two images are", "image", "image", _likeness),
    "fsp": Compared("which channels of a stage go with which of the next", "channel", "next channel", _flow),
}  # fmt: skip
"""By the keys of ``DISTILLATIONS``."""
