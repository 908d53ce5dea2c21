"""What a student is trained towards: the methods of distillation as a table of cards.

The first six compare logits; the others compare what lies before them, at stages of the two
networks that were matched (``features.py``). All are zero where student and teacher show the
same. What the teacher shows may be half precision and is never differentiated; everything is
computed in float32, or in float64 where the student is.
"""

from __future__ import annotations

from compression.distillation import by_features, by_logits
from compression.registry import Method

DISTILLATIONS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "soft_targets",
            "Soft targets",
            "Learn the teacher's whole distribution over the classes, softened by the temperature.",
            r"T^2\, \mathrm{KL}\left(p^t_T \,\Vert\, p^s_T\right), \quad p_T = \mathrm{softmax}(z / T)",
            "Hinton et al. 2015, Distilling the knowledge in a neural network, arXiv 1503.02531",
            by_logits.soft_targets,
            needs=("temperature",),
        ),
        Method(
            "logits",
            "Logit matching",
            "Learn the teacher's logits themselves, by least squares; the temperature plays no part.",
            r"\tfrac{1}{2K} \lVert z^s - z^t \rVert_2^2",
            "Ba and Caruana 2014, Do deep nets really need to be deep?, arXiv 1312.6184",
            by_logits.logits,
        ),
        Method(
            "dkd",
            "Decoupled (DKD)",
            "Soft targets in two parts: the true class against the rest, and the rest among themselves, weighed more.",
            r"T^2 \left(\alpha\, \mathrm{TCKD} + \beta\, \mathrm{NCKD}\right), \quad \alpha = 1,\; \beta = 8",
            "Zhao et al. 2022, Decoupled knowledge distillation, arXiv 2203.08679",
            by_logits.dkd,
            needs=("temperature",),
        ),
        Method(
            "standardised",
            "Standardised logits",
            "Soft targets of z-scored logits: the student learns the shape of each answer, not how sure it is.",
            r"T^2\, \mathrm{KL}\left(p^t_T \,\Vert\, p^s_T\right),"
            r" \quad p_T = \mathrm{softmax}\left(\frac{z - \bar z}{\sigma_z T}\right)",
            "Sun et al. 2024, Logit standardization in knowledge distillation, arXiv 2403.01427",
            by_logits.standardised,
            needs=("temperature",),
        ),
        Method(
            "dist",
            "Correlation (DIST)",
            "Keep the teacher's ranking of the classes of an image and of the images of a class, not its exact values.",
            r"\tfrac1B \sum_i \left[1 - r(P^s_{i \cdot}, P^t_{i \cdot})\right]"
            r" + \tfrac1K \sum_k \left[1 - r(P^s_{\cdot k}, P^t_{\cdot k})\right],\; P = \mathrm{softmax}(z / T)",
            "Huang et al. 2022, Knowledge distillation from a stronger teacher, arXiv 2205.10536",
            by_logits.dist,
            needs=("temperature",),
        ),
        Method(
            "born_again",
            "Self-distillation (born-again)",
            "A student of the teacher's own architecture learns its distribution as it is, at T = 1.",
            r"\mathrm{KL}\left(p^t \,\Vert\, p^s\right), \quad p = \mathrm{softmax}(z)",
            "Furlanello et al. 2018, Born-again neural networks, arXiv 1805.04770",
            by_logits.born_again,
        ),
        Method(
            "hint",
            "Hints (FitNets)",
            "At every matched stage a small layer, learned too, turns the student's features into the teacher's.",
            r"\tfrac{1}{CHW} \lVert r(F^s) - F^t \rVert_2^2",
            "Romero et al. 2015, FitNets: hints for thin deep nets, arXiv 1412.6550",
            by_features.hint,
            needs=("features", "regressors"),
        ),
        Method(
            "attention",
            "Attention transfer",
            "Look where the teacher looks: the places of an image where its channels are most active.",
            r"\lVert \hat Q^s - \hat Q^t \rVert_2^2,"
            r" \quad Q_{hw} = \tfrac1C \sum_c F_{chw}^2,\; \hat Q = Q / \lVert Q \rVert_2",
            "Zagoruyko and Komodakis 2017, Paying more attention to attention, arXiv 1612.03928",
            by_features.attention,
            needs=("features", "maps"),
        ),
        Method(
            "rkd_distance",
            "Relations: distances (RKD-D)",
            "Images that are far apart to the teacher should be far apart to the student.",
            r"\sum_{i \ne j} l_\delta\left(\tfrac{\lVert f^s_i - f^s_j \rVert}{\mu^s},"
            r" \tfrac{\lVert f^t_i - f^t_j \rVert}{\mu^t}\right)",
            "Park et al. 2019, Relational knowledge distillation, arXiv 1904.05068",
            by_features.rkd_distance,
            needs=("features",),
        ),
        Method(
            "rkd_angle",
            "Relations: angles (RKD-A)",
            "Any three images should form the same triangle to the student as to the teacher.",
            r"\sum_{i \ne j \ne k} l_\delta\left(\cos \angle f^s_i f^s_j f^s_k,\; \cos \angle f^t_i f^t_j f^t_k\right)",
            "Park et al. 2019, Relational knowledge distillation, arXiv 1904.05068",
            by_features.rkd_angle,
            needs=("features",),
        ),
        Method(
            "similarity",
            "Similarity-preserving",
            "Images that excite the teacher alike should excite the student alike.",
            r"\tfrac{1}{B^2} \lVert \hat G^s - \hat G^t \rVert_F^2,"
            r" \quad G = F F^\top,\; \hat G_i = G_i / \lVert G_i \rVert_2",
            "Tung and Mori 2019, Similarity-preserving knowledge distillation, arXiv 1907.09682",
            by_features.similarity,
            needs=("features",),
        ),
        Method(
            "fsp",
            "Flow between layers (FSP)",
            "Learn how the teacher gets from a stage to the next: which channels lead to which.",
            r"\tfrac{1}{CC'} \lVert G^s - G^t \rVert_F^2, \quad G = \tfrac{1}{HW} \sum_{h,w} F_{hw} F'^{\top}_{hw}",
            "Yim et al. 2017, A gift from knowledge distillation: fast optimization, network minimization, CVPR 2017",
            by_features.fsp,
            needs=("features", "regressors", "two stages"),
        ),
    )
}
"""In the order of the menus. ``call(student: View, teacher: View, labels_B, temperature)`` gives a scalar."""

# Measured on 128 images at T = 4, where the student is new: the length of the soft targets' gradient
# over that of the method's, for seven pairs of CNNs and MLPs on digits and MNIST. The first number is
# the range, the second the weight in use elsewhere: (a) the paper's, (b) that of the comparison by Tian
# et al. 2020 (arXiv 1910.10699), whose networks for CIFAR-100 are larger and deeper.
SCALES: dict[str, float] = {
    "soft_targets": 1,
    "logits": 1,  # 0.9 to 1.6
    "dkd": 0.25,  # 0.2 to 0.4; 1 (a), rising from 0 over 20 epochs
    "standardised": 1,  # 0.6 to 2.5; 9 at T = 2 (a)
    "dist": 1,  # 0.3 to 0.7, and 0.8 to 5 two epochs later; 1 (a)
    "born_again": 1,  # 3, but at T = 1 this is the soft targets
    "hint": 5,  # 2.6 to 8, once 40; 100 (b)
    "attention": 3,  # 2.2 to 2.8; 1000 on the mean over positions (b), 16 on their sum at 8×8
    "rkd_distance": 15,  # 3 to 40; 25 (a)
    "rkd_angle": 15,  # 3 to 65; 50 (a)
    "similarity": 1000,  # 110 to 3700; 3000 (b)
    "fsp": 50,  # 50 to 130, once 1000; 50 (b)
}
"""What each loss is multiplied by, so that one alpha weighs every method about as much as soft targets."""
