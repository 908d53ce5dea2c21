"""What is unimportant and what is removed: two of the axes of pruning, as tables of cards.

Everything that can be removed is a *unit* of a layer: one weight, one k×k kernel, one row,
one channel.
"""

from __future__ import annotations

from torch import Tensor

from compression.pruning.scores import (
    apoz,
    batchnorm,
    fisher,
    l2,
    lamp,
    magnitude,
    median,
    movement,
    random,
    snip,
    taylor,
    wanda,
)
from compression.recipe import Prune, fixed_sparsity
from compression.registry import Method, UserError, pick, unknown


def single_weights(weight: Tensor) -> Tensor:
    """Every weight a unit: n×1."""
    return weight.reshape(-1, 1)


def kernels(weight: Tensor) -> Tensor:
    """Every k×k slice of a convolution O×I×k×k a unit: OI×kk."""
    return weight.flatten(0, 1).flatten(1)


def filters(weight: Tensor) -> Tensor:
    """All weights that make one output a unit: O×rest."""
    return weight.flatten(1)


def whole(weight: Tensor) -> Tensor:
    """The layer as a part of one unit: 1×n."""
    return weight.reshape(1, -1)


CRITERIA: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "magnitude",
            "Magnitude (L1)",
            "Small weights matter little: rank by absolute value, and units by its mean.",
            r"s_i = \tfrac{1}{N}\lVert w_i \rVert_1",
            "Han et al. 2015, arXiv 1506.02626; filters: Li et al. 2017, arXiv 1608.08710",
            magnitude,
        ),
        Method(
            "l2",
            "L2 norm",
            "Rank units by their root mean square, which a few large weights lift; single weights as above.",
            r"s_i = \tfrac{1}{\sqrt{N}}\lVert w_i \rVert_2",
            "He et al. 2018, Soft filter pruning, arXiv 1808.06866",
            l2,
        ),
        Method(
            "random",
            "Random (control)",
            "Remove blindly: what any criterion has to beat to be worth its name.",
            r"s_i \sim \mathcal{U}(0, 1)",
            "Mittal et al. 2018, Recovering from random pruning, arXiv 1801.10447",
            random,
        ),
        Method(
            "lamp",
            "LAMP",
            "Magnitude as a share of what its layer would still hold, so that no layer is emptied first.",
            r"s_i = \frac{w_i^2}{\sum_{j:\,|w_j| \ge |w_i|} w_j^2}",
            "Lee et al. 2021, Layer-adaptive sparsity for magnitude-based pruning, arXiv 2010.07611",
            lamp,
        ),
        Method(
            "batchnorm",
            "BatchNorm scale",
            "A channel that its BatchNorm multiplies by nearly nothing passes nearly nothing on.",
            r"s_i = |\gamma_i|",
            "Liu et al. 2017, Network slimming, arXiv 1708.06519",
            batchnorm,
            needs=("batchnorm",),
        ),
        Method(
            "median",
            "Geometric median",
            "A filter amid the others of its layer is the one that they can best stand in for.",
            r"s_i = \tfrac{1}{U\sqrt{N}}\sum_{j} \lVert w_i - w_j \rVert_2",
            "He et al. 2019, Filter pruning via geometric median, arXiv 1811.00250",
            median,
        ),
        Method(
            "snip",
            "Gradient sensitivity (SNIP)",
            "Weight times gradient: how strongly the loss on training images hangs on each weight.",
            r"s_i = \sum_{s \in i} |\theta_s g_s|,\; g = \tfrac{1}{n}\textstyle\sum_n \nabla L_n",
            "Lee et al. 2019, SNIP: single-shot network pruning, arXiv 1810.02340",
            snip,
            needs=("gradients",),
        ),
        Method(
            "taylor",
            "Taylor (first order)",
            "How much the loss changes, to first order, when a whole unit goes; single weights rank as by SNIP.",
            r"s_i = \Bigl|\sum_{s \in i} \theta_s g_s\Bigr|",
            "Molchanov et al. 2019, Importance estimation for neural network pruning, arXiv 1906.10771",
            taylor,
            needs=("gradients",),
        ),
        Method(
            "fisher",
            "Fisher (second order, OBD)",
            "How much the loss rises, to second order, with the curvature read from each image's squared gradient.",
            r"s_i = \tfrac12 \sum_{s \in i} \mathbb{E}_n[g_{n,s}^2]\, \theta_s^2",
            "LeCun et al. 1990, Optimal brain damage; Theis et al. 2018, arXiv 1801.05787",
            fisher,
            needs=("squared gradients",),
        ),
        Method(
            "movement",
            "Movement",
            "A short fine-tuning of a copy shows which weights shrink towards zero: those go first, large ones too.",
            r"s_i = -\sum_t \sum_{s \in i} \theta_s^{(t)} g_s^{(t)}",
            "Sanh et al. 2020, Movement pruning, arXiv 2005.07683",
            movement,
            needs=("movement",),
        ),
        Method(
            "wanda",
            "Wanda",
            "A small weight on a strong input matters: rank by weight times the norm of what it reads.",
            r"s_{ij} = |w_{ij}| \cdot \lVert x_j \rVert_2 / \sqrt{n}",
            "Sun et al. 2023, A simple and effective pruning approach for large language models, arXiv 2306.11695",
            wanda,
            needs=("inputs",),
        ),
        Method(
            "apoz",
            "Zeros after activation (APoZ)",
            "A unit that its activation sets to zero on most images passes little on.",
            r"s_i = 1 - \mathrm{APoZ}_i = 1 - \tfrac{1}{n}\textstyle\sum_n [a_{n,i} = 0]",
            "Hu et al. 2016, Network trimming, arXiv 1607.03250",
            apoz,
            needs=("activations",),
        ),
    )
}
"""What is unimportant: ``call`` takes ``Units`` to U scores, and the lowest fall."""

_N_OF_M = (
    r"\lVert w_{Mg \ldots Mg+M-1} \rVert_0 \le N",
    "Mishra et al. 2021, Accelerating sparse deep neural networks, arXiv 2104.08378",
)

GRANULARITIES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "weights",
            "Single weights",
            "Any weight may go: keeps the most accuracy, and makes files smaller but nothing faster.",
            r"w \leftarrow m \odot w,\; m \in \{0, 1\}^{O \times I \times k \times k}",
            "Han et al. 2015, Learning both weights and connections, arXiv 1506.02626",
            single_weights,
        ),
        Method(
            "2:4",
            "2 of 4 weights",
            "Of every four weights along the inputs two stay: the pattern that GPU tensor cores can skip.",
            *_N_OF_M,
            single_weights,
        ),
        Method(
            "1:4",
            "1 of 4 weights",
            "Of every four weights along the inputs one stays.",
            _N_OF_M[0],
            "Zhou et al. 2021, Learning N:M fine-grained structured sparse networks, arXiv 2102.04010",
            single_weights,
        ),
        Method(
            "4:8",
            "4 of 8 weights",
            "Of every eight weights along the inputs four stay: half, with more freedom than 2:4.",
            _N_OF_M[0],
            "Hubara et al. 2021, Accelerated sparse neural training, arXiv 2102.08124",
            single_weights,
        ),
        Method(
            "rows",
            "Rows (neurons)",
            "Whole hidden units of linear layers are cut out, and the next layer's inputs with them.",
            r"W \in \mathbb{R}^{O \times I} \to \mathbb{R}^{O' \times I}",
            "Srinivas and Babu 2015, Data-free parameter pruning, arXiv 1507.06149",
            filters,
            needs=("hidden linear layers",),
        ),
        Method(
            "kernels",
            "Kernels",
            "Whole k×k slices of convolutions become zero: one filter no longer sees one input.",
            r"W_{oi} \leftarrow m_{oi} W_{oi},\; m \in \{0, 1\}^{O \times I}",
            "Mao et al. 2017, Exploring the regularity of sparse structure, arXiv 1705.08922",
            kernels,
            needs=("convolutions",),
        ),
        Method(
            "channels",
            "Channels (filters)",
            "Whole channels are cut out of convolutions and of all that is coupled to them: really faster.",
            r"W \in \mathbb{R}^{O \times I \times k^2} \to \mathbb{R}^{O' \times I' \times k^2}",
            "Li et al. 2017, arXiv 1608.08710; coupled layers: Fang et al. 2023 (DepGraph), arXiv 2301.12900",
            filters,
            needs=("convolutions",),
        ),
        Method(
            "heads",
            "Attention heads",
            "Whole heads are cut out of a transformer's attention: their queries, keys, values and projection.",
            r"\textstyle\sum_h W^O_h \mathrm{Att}_h(x) \to \sum_h m_h W^O_h \mathrm{Att}_h(x),\; m \in \{0, 1\}^H",
            "Michel et al. 2019, Are sixteen heads really better than one?, arXiv 1905.10650",
            filters,
            needs=("attention",),
        ),
        Method(
            "blocks",
            "Blocks (depth)",
            "Whole residual blocks go, and their input passes on as it is: the network becomes shallower.",
            r"x + F(x) \to x",
            "Veit et al. 2016, Residual networks behave like ensembles of shallow networks, arXiv 1605.06431",
            whole,
            needs=("residual blocks",),
        ),
    )
}
"""What is removed: ``call`` takes a weight tensor to its units w_UN."""

_BY_WEIGHT = ("magnitude", "l2", "random", "lamp", "snip", "taylor", "fisher", "movement", "wanda")
_BY_UNIT = tuple(key for key in CRITERIA if key != "wanda")
_FITTING: dict[str, tuple[str, ...]] = {
    "weights": _BY_WEIGHT,
    "kernels": _BY_WEIGHT,
    "rows": _BY_UNIT,
    "channels": _BY_UNIT,
    "heads": tuple(key for key in _BY_UNIT if key not in ("batchnorm", "apoz")),
    "blocks": tuple(key for key in _BY_UNIT if key not in ("lamp", "median", "apoz")),
}
ABSOLUTE: tuple[str, ...] = ("magnitude", "l2", "batchnorm", "median")
"""The criteria whose scores are sizes of weights, so that a threshold means something."""


def allowed(granularity: str) -> tuple[str, ...]:
    """The criteria that can rank the units of a granularity.

    Within the M weights of an N:M pattern LAMP orders as magnitude does, so it is left out.

    Raises:
        UserError: unknown granularity.
    """
    pick(GRANULARITIES, granularity, "granularity")
    if fixed_sparsity(granularity) is not None:
        return tuple(key for key in _BY_WEIGHT if key != "lamp")
    return _FITTING[granularity]


def check(stage: Prune) -> None:
    """Raise UserError, one line, where the settings of a stage contradict each other."""
    fitting = allowed(stage.granularity)
    if stage.criterion not in fitting:
        raise UserError(
            f"criterion '{stage.criterion}' cannot rank {stage.granularity}; choose one of: {', '.join(fitting)}"
        )
    if stage.threshold is not None and stage.criterion not in ABSOLUTE:
        fitting = tuple(key for key in ABSOLUTE if key in fitting)
        raise UserError(
            f"threshold is {stage.threshold:g}, but the scores of criterion '{stage.criterion}' are not "
            f"sizes of weights; give sparsity, or choose one of: {', '.join(fitting)}"
        )


def check_layers(overrides: dict[str, float], layers: tuple[str, ...]) -> None:
    """Raise UserError when an override names a layer that is not among ``layers``."""
    for name in overrides:
        if name not in layers:
            raise UserError(unknown("layer in overrides", name, layers))
