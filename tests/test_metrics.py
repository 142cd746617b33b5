"""Every metric against independent oracles, its invariances, golden values by hand, and nonsense."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from dynsal import legacy_metrics, metrics
from dynsal.metrics import auc, auc_judd, auc_uniform, cc, chi2, kld, nss, pixel_index, sauc, sim, values_at

# No deadline: several people's jobs share the machines that run this.
brief = settings(max_examples=50, deadline=None)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
# Few distinct values make ties, which is where rank statistics go wrong; floats make everything else.
TIED = st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0])
SMOOTH = st.just(0.0) | st.floats(1e-9, 1e3)

Scene = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@st.composite
def points(draw: st.DrawFn, shape: tuple[int, int], min_size: int = 1) -> NDArray[np.float64]:
    """Points anywhere in the map, pixel borders included, repeated now and then."""
    offset = st.sampled_from([-0.5, -0.25, 0.0, 0.3, 0.49])
    point = st.tuples(st.integers(0, shape[1] - 1), st.integers(0, shape[0] - 1), offset, offset).map(
        lambda p: (p[0] + p[2], p[1] + p[3])
    )
    return np.array(draw(st.lists(point, min_size=min_size, max_size=12)), dtype=np.float64).reshape(-1, 2)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw a map, fixations and negatives."""
    shape = draw(SHAPES)
    grid = draw(hnp.arrays(np.float64, shape, elements=draw(st.sampled_from([TIED, SMOOTH]))))
    return grid, draw(points(shape)), draw(points(shape))


@st.composite
def map_pairs(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two maps of one size, nowhere negative, each with some mass."""
    shape = draw(SHAPES)
    pair = [draw(hnp.arrays(np.float64, shape, elements=draw(st.sampled_from([TIED, SMOOTH])))) for _ in "ab"]
    assume(all(grid.sum() > 1e-3 for grid in pair))
    return pair[0], pair[1]


def read(grid: NDArray[Any], xy: NDArray[np.float64]) -> list[float]:
    """Nearest pixel, the slow and obvious way."""
    return [float(grid[math.floor(y + 0.5), math.floor(x + 0.5)]) for x, y in xy]


def brute_force(positives: list[float], negatives: list[float]) -> float:
    wins = sum(1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


def scene_of_7_6(seed: int = 0) -> tuple[NDArray[np.float64], Scene]:
    """Make a quarter-size version of the frame on which protocol.md 7.6 measures the pitfalls."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :160]

    def blob(cx: float, cy: float, sigma: float) -> NDArray[np.float64]:
        return np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))

    def clip(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(xy, 0, [159, 119])

    target = rng.normal([110, 40], 8, (31, 2))
    centre = rng.normal([79.5, 59.5], [26, 20], (14, 2))
    fixations = clip(np.concatenate([target, centre]))
    negatives = clip(rng.normal([79.5, 59.5], [30, 22], (5000, 2)))
    density = np.zeros((120, 160))
    for cx, cy in fixations:
        density += blob(cx, cy, 5)
    smooth = 0.7 * blob(110, 40, 10) + 0.3 * blob(79.5, 59.5, 24)
    return density, (smooth, fixations, negatives)


# --- reading the map ---


def test_a_point_reads_the_pixel_that_contains_it() -> None:
    grid = np.arange(6.0).reshape(2, 3)
    xy = [[0, 0], [2, 0], [0, 1], [2.49, 1.49], [-0.5, -0.5], [0.5, 0], [0.49, 0]]
    assert values_at(grid, xy).tolist() == [0, 2, 3, 5, 0, 1, 0]


@brief
@given(st.data())
def test_reading_agrees_with_a_loop(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    grid = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    xy = data.draw(points(shape, min_size=0))
    assert values_at(grid, xy).tolist() == read(grid, xy)
    assert values_at(grid, xy).dtype == np.float32


@pytest.mark.parametrize(
    "bad",
    [(3, 0), (0, 2), (2.5, 0), (0, 1.5), (-0.51, 0), (0, -1), (math.nan, 0), (0, math.inf), (-math.inf, 0)],
)
def test_points_outside_are_counted_and_the_size_is_named(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"2 of 3 points lie outside the map of width 3 x height 2"):
        pixel_index([(1, 1), bad, bad], (2, 3))


def test_swapped_columns_and_one_based_points_are_noticed_at_the_border() -> None:
    grid, corner = np.ones((4, 9)), np.array([[8, 3]])
    assert nss(grid + np.eye(4, 9), corner) < 0
    for wrong in (corner[:, ::-1], corner + 1):
        with pytest.raises(ValueError, match="1 of 1 points lie outside"):
            sauc(grid, wrong, corner)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 2)])
def test_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected K x 2"):
        pixel_index(np.zeros(shape), (5, 5))


# --- rank metrics ---


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ([3, 1], [0, 2], 0.75),
        ([1, 1], [1, 0], 0.75),
        ([5], [1, 2, 3], 1.0),
        ([0], [1, 2, 3], 0.0),
        ([2, 2], [2, 2, 2], 0.5),
        ([1, 2, 2], [2, 3, 0, 2], (1 + 2 * (1 + 2 * 0.5)) / 12),
        ([True, False], [False], 0.75),
        ([math.inf, 0], [1.0], 0.5),
    ],
)
def test_auc_by_hand(positives: list[float], negatives: list[float], expected: float) -> None:
    assert auc(positives, negatives) == expected


def test_sauc_by_hand_counts_repeated_points() -> None:
    grid = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]])
    # Fixations read 3, 1, 1; negatives 2, 1: (2 + 2 * (0 + 0.5)) / 6.
    assert sauc(grid, [(0, 1), (1, 0), (1, 0)], [(2, 0), (1, 1)]) == 0.5
    # One more copy of the negative 2, which beats two of the three: (3 + 2 * 0.5) / 9.
    assert sauc(grid, [(0, 1), (1, 0), (1, 0)], [(2, 0), (1, 1), (2, 0)]) == pytest.approx(4 / 9, abs=1e-15)


@brief
@given(scenes())
def test_sauc_equals_three_independent_implementations(scene: Scene) -> None:
    grid, fixations, negatives = scene
    positive, negative = read(grid, fixations), read(grid, negatives)
    score = sauc(grid, fixations, negatives)
    assert score == pytest.approx(brute_force(positive, negative), abs=1e-12)
    labels = [1] * len(positive) + [0] * len(negative)
    assert score == pytest.approx(roc_auc_score(labels, positive + negative), abs=1e-12)
    u = stats.mannwhitneyu(positive, negative, method="asymptotic").statistic
    assert score == pytest.approx(u / (len(positive) * len(negative)), abs=1e-12)


@brief
@given(scenes())
def test_sauc_of_the_negative_map_and_of_swapped_samples_is_the_rest(scene: Scene) -> None:
    grid, fixations, negatives = scene
    score = sauc(grid, fixations, negatives)
    assert sauc(-grid, fixations, negatives) == pytest.approx(1 - score, abs=1e-12)
    assert sauc(grid, negatives, fixations) == pytest.approx(1 - score, abs=1e-12)


@brief
@given(scenes(), st.randoms(use_true_random=False))
def test_sauc_sees_ranks_only_and_no_order(scene: Scene, random: Any) -> None:
    grid, fixations, negatives = scene
    # Ranks themselves: the most violent increasing map, and exact, unlike exp or cube.
    ranked = np.unique(grid, return_inverse=True)[1].reshape(grid.shape)
    score = sauc(grid, fixations, negatives)
    assert sauc(ranked, fixations, negatives) == score
    assert sauc(2.0**ranked, fixations, negatives) == score
    order = random.sample(range(len(negatives)), len(negatives))
    assert sauc(grid, fixations[::-1], negatives[order]) == score


@brief
@given(scenes(), st.floats(-1e6, 1e6))
def test_a_constant_map_scores_one_half(scene: Scene, value: float) -> None:
    grid, fixations, negatives = scene
    assert sauc(np.full_like(grid, value), fixations, negatives) == 0.5


@brief
@given(scenes(), st.integers(2, 5))
def test_sauc_depends_on_shares_not_on_counts(scene: Scene, copies: int) -> None:
    grid, fixations, negatives = scene
    score = sauc(grid, fixations, negatives)
    assert sauc(grid, np.tile(fixations, (copies, 1)), negatives) == pytest.approx(score, abs=1e-12)
    assert sauc(grid, fixations, np.tile(negatives, (copies, 1))) == pytest.approx(score, abs=1e-12)


@brief
@given(scenes())
def test_auc_judd_equals_brute_force_over_unfixated_pixels(scene: Scene) -> None:
    grid, fixations, _ = scene
    fixated = {(math.floor(x + 0.5), math.floor(y + 0.5)) for x, y in fixations}
    others = [
        float(grid[row, column])
        for row in range(grid.shape[0])
        for column in range(grid.shape[1])
        if (column, row) not in fixated
    ]
    score = auc_judd(grid, fixations)
    if not others:
        assert math.isnan(score)
        return
    positive = read(grid, fixations)
    assert score == pytest.approx(brute_force(positive, others), abs=1e-12)
    labels = [1] * len(positive) + [0] * len(others)
    assert score == pytest.approx(roc_auc_score(labels, positive + others), abs=1e-12)
    assert auc_judd(-grid, fixations) == pytest.approx(1 - score, abs=1e-12)


def test_auc_judd_by_hand() -> None:
    grid = np.array([[4.0, 1.0], [2.0, 2.0]])
    assert auc_judd(grid, [(0, 0)]) == 1.0
    # 2 against 4, 1 and the other 2: one win, one tie.
    assert auc_judd(grid, [(0, 1)]) == 0.5
    # Twice 2 and once 4 against 1 and 2.
    assert auc_judd(grid, [(0, 1), (0, 1), (0, 0)]) == (2 * 1.5 + 2) / 6
    assert auc_judd(np.full((3, 3), 7.0), [(1, 2)]) == 0.5


@brief
@given(scenes())
def test_auc_uniform_equals_brute_force_over_all_pixels(scene: Scene) -> None:
    grid, fixations, _ = scene
    everywhere = grid.ravel().tolist()
    score = auc_uniform(grid, fixations)
    assert score == pytest.approx(brute_force(read(grid, fixations), everywhere), abs=1e-12)
    assert auc_uniform(-grid, fixations) == pytest.approx(1 - score, abs=1e-12)
    every_pixel = [(x, y) for y in range(grid.shape[0]) for x in range(grid.shape[1])]
    assert auc_uniform(grid, every_pixel) == 0.5
    assert score == pytest.approx(sauc(grid, fixations, every_pixel), abs=1e-12)


def test_auc_uniform_by_hand() -> None:
    grid = np.array([[4.0, 1.0], [2.0, 2.0]])
    # Against itself half a win, and three wins; the lower 2: one win, two ties.
    assert auc_uniform(grid, [(0, 0)]) == 3.5 / 4
    assert auc_uniform(grid, [(0, 1), (0, 0)]) == (3.5 + 2) / 8
    assert auc_uniform(np.full((3, 3), 7.0), [(1, 2)]) == 0.5


def test_auc_uniform_is_the_limit_of_borjis() -> None:
    """Random draws and steps only add noise: 3e-3 at 40,000 draws."""
    _, (smooth, fixations, _) = scene_of_7_6()
    drawn = legacy_metrics.mit_auc_borji(smooth, fixations, n_splits=1000, step=0.001)
    merged = np.unique(np.floor(fixations + 0.5), axis=0)
    assert drawn == pytest.approx(auc_uniform(smooth, merged), abs=3e-3)


# --- NSS and CC ---


def test_nss_by_hand() -> None:
    grid = np.array([[0.0, 0.0], [0.0, 4.0]])  # mean 1, population variance 3
    assert nss(grid, [(1, 1)]) == pytest.approx(math.sqrt(3), abs=1e-15)
    assert nss(grid, [(0, 0)]) == pytest.approx(-1 / math.sqrt(3), abs=1e-15)
    assert nss(grid, [(1, 1), (0, 0), (0, 0)]) == pytest.approx(1 / (3 * math.sqrt(3)), abs=1e-15)


@brief
@given(scenes())
def test_nss_equals_the_mean_of_scipys_z_scores(scene: Scene) -> None:
    grid, fixations, _ = scene
    if np.ptp(grid) == 0:
        assert math.isnan(nss(grid, fixations))
        return
    assume(np.ptp(grid) > 1e-6 * grid.max())
    expected = np.mean(read(stats.zscore(grid, axis=None, ddof=0), fixations))
    assert nss(grid, fixations) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@brief
@given(scenes(), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_nss_is_invariant_under_positive_affine_maps(scene: Scene, scale: float, shift: float) -> None:
    grid, fixations, _ = scene
    assume(np.ptp(grid) > 1e-2)
    assert nss(scale * grid + shift, fixations) == pytest.approx(nss(grid, fixations), rel=1e-6, abs=1e-6)
    assert nss(-grid, fixations) == pytest.approx(-nss(grid, fixations), rel=1e-9, abs=1e-9)


@brief
@given(scenes())
def test_nss_over_all_pixels_is_zero(scene: Scene) -> None:
    grid, _, _ = scene
    assume(np.ptp(grid) > 0)
    rows, columns = np.indices(grid.shape)
    assert nss(grid, np.column_stack((columns.ravel(), rows.ravel()))) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e150])
def test_nss_and_cc_survive_scales_whose_squares_do_not(scale: float) -> None:
    grid = np.array([[0.0, 0.0], [0.0, 4.0]])
    assert nss(scale * grid, [(1, 1)]) == pytest.approx(math.sqrt(3), rel=1e-12)
    assert cc(scale * grid, grid) == pytest.approx(1, rel=1e-12)


@brief
@given(map_pairs())
def test_cc_equals_scipys_pearson(pair: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    a, b = pair
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert math.isnan(cc(a, b))
        return
    assume(np.ptp(a) > 1e-6 * a.max() and np.ptp(b) > 1e-6 * b.max())
    expected = stats.pearsonr(a.ravel(), b.ravel()).statistic
    assert cc(a, b) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@brief
@given(map_pairs(), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_cc_invariances(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]], scale: float, shift: float
) -> None:
    a, b = pair
    assume(np.ptp(a) > 1e-2 and np.ptp(b) > 1e-2)
    score = cc(a, b)
    assert cc(scale * a + shift, b) == pytest.approx(score, rel=1e-6, abs=1e-6)
    assert cc(-a, b) == pytest.approx(-score, abs=1e-9)
    assert cc(b, a) == pytest.approx(score, abs=1e-12)
    assert cc(a, a) == pytest.approx(1, abs=1e-12)


def test_cc_by_hand() -> None:
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2).
    assert cc([[0.0, 1.0, 2.0]], [[0.0, 2.0, 1.0]]) == pytest.approx(0.5, abs=1e-15)


# --- distribution metrics ---


def test_distribution_metrics_by_hand() -> None:
    p, q = [[0.5, 0.5]], [[1.0, 0.0]]
    assert chi2(p, q) == pytest.approx(1 / 3, abs=1e-15)
    assert sim(p, q) == 0.5
    assert kld(p, q) == pytest.approx(math.log(2), abs=1e-12)
    assert chi2([[1, 0]], [[0, 1]]) == 1.0
    assert sim([[1, 0]], [[0, 1]]) == 0.0
    assert kld([[1, 0]], [[0, 1]]) == pytest.approx(-math.log(metrics.KLD_EPSILON), abs=1e-9)
    # p = (1, 2, 1)/4, q = (1, 0, 1)/2: 0.5 * (1/12 + 1/2 + 1/12).
    assert chi2([[1, 2, 1]], [[3, 0, 3]]) == pytest.approx(1 / 3, abs=1e-15)


@brief
@given(map_pairs())
def test_distribution_metrics_equal_their_definitions(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    a, b = pair
    p = [value / math.fsum(a.ravel()) for value in a.ravel()]
    q = [value / math.fsum(b.ravel()) for value in b.ravel()]
    cells = list(zip(p, q, strict=True))
    assert sim(a, b) == pytest.approx(math.fsum(min(u, v) for u, v in cells), abs=1e-12)
    distance = 0.5 * math.fsum((u - v) ** 2 / (u + v) for u, v in cells if u + v > 0)
    assert chi2(a, b) == pytest.approx(distance, abs=1e-12)
    eps = 2.0**-52
    divergence = math.fsum(v * math.log(eps + v / (u + eps)) for u, v in cells)
    assert kld(a, b) == pytest.approx(divergence, abs=1e-9)
    if a.min() > 0.01:
        assert kld(a, b) == pytest.approx(stats.entropy(q, p), abs=1e-7)


@brief
@given(map_pairs(), st.floats(1e-6, 1e6))
def test_properties_of_the_distribution_metrics(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]], scale: float
) -> None:
    a, b = pair
    distance, shared = chi2(a, b), sim(a, b)
    variation = 0.5 * float(np.abs(a / a.sum() - b / b.sum()).sum())
    assert shared == pytest.approx(1 - variation, abs=1e-12)
    assert variation**2 - 1e-12 <= distance <= variation + 1e-12
    assert distance == pytest.approx(chi2(b, a), abs=1e-12)
    assert shared == pytest.approx(sim(b, a), abs=1e-12)
    assert kld(a, b) >= -1e-9
    for metric, tolerance in ((chi2, 1e-12), (sim, 1e-12), (kld, 1e-6)):
        assert metric(scale * a, b) == pytest.approx(metric(a, b), abs=tolerance)
        assert metric(a, scale * b) == pytest.approx(metric(a, b), abs=tolerance)
    # No distance only from itself.
    assert (distance > 1e-20) == (variation > 1e-10)


@brief
@given(map_pairs())
def test_a_map_against_itself(pair: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    a, _ = pair
    assert chi2(a, 3 * a) == pytest.approx(0, abs=1e-20)
    assert sim(a, a) == pytest.approx(1, abs=1e-12)
    assert kld(a, a) == pytest.approx(0, abs=1e-9)


# --- the pitfalls of protocol.md 7.6 ---


def test_a_density_on_its_own_fixations_is_no_perfect_shuffled_auc() -> None:
    density, (smooth, fixations, negatives) = scene_of_7_6()
    assert 0.7 < sauc(smooth, fixations, negatives) < sauc(density, fixations, negatives) < 0.95


def test_the_pool_counts_with_multiplicity() -> None:
    _, (smooth, fixations, negatives) = scene_of_7_6()
    merged = np.unique(np.floor(negatives + 0.5), axis=0)
    assert len(merged) < len(negatives)
    assert abs(sauc(smooth, fixations, merged) - sauc(smooth, fixations, negatives)) > 1e-3


def test_a_centre_biased_map_gains_from_uniform_but_not_from_shuffled_negatives() -> None:
    _, (_, fixations, negatives) = scene_of_7_6()
    y, x = np.mgrid[:120, :160]
    centre = np.exp(-((x - 79.5) ** 2 / 26**2 + (y - 59.5) ** 2 / 20**2) / 2)
    assert sauc(centre, fixations, negatives) < 0.52
    assert auc_judd(centre, fixations) > 0.6


def test_eight_bits_and_float32_are_harmless() -> None:
    density, (smooth, fixations, negatives) = scene_of_7_6()
    exact = sauc(smooth, fixations, negatives)
    assert 0 < abs(sauc(np.round(255 * smooth).astype(np.uint8), fixations, negatives) - exact) < 0.005
    assert sauc(smooth.astype(np.float32), fixations, negatives) == pytest.approx(exact, abs=1e-4)
    assert chi2(smooth.astype(np.float32), density) == pytest.approx(chi2(smooth, density), abs=1e-7)


def test_what_is_done_to_a_map_before_chi2_matters() -> None:
    density, (smooth, _, _) = scene_of_7_6()
    peaky = smooth**8
    # A pedestal changes no rank, yet hides how wrong a peaky map is away from its peak.
    assert chi2(peaky + 0.005 * peaky.max(), density) < chi2(peaky, density) - 0.05
    with pytest.raises(ValueError, match="negative"):
        chi2(peaky - 0.1, density)


# --- the contract ---

GRID = np.array([[0.1, 0.4, 0.2], [0.9, 0.0, 0.3]])
XY = np.array([[0.0, 1.0], [2.0, 0.0]])
NO_POINTS = np.empty((0, 2))
CALLS = {
    "sauc": lambda grid: sauc(grid, XY, [(2, 1), (1, 1)]),
    "auc_judd": lambda grid: auc_judd(grid, XY),
    "nss": lambda grid: nss(grid, XY),
    "cc": lambda grid: cc(grid, GRID),
    "sim": lambda grid: sim(grid, GRID),
    "kld": lambda grid: kld(grid, GRID),
    "chi2": lambda grid: chi2(grid, GRID),
}


def test_no_fixations_or_no_negatives_is_nan_whatever_their_container() -> None:
    for empty in (NO_POINTS, []):
        scores = [sauc(GRID, empty, XY), sauc(GRID, XY, empty), auc_judd(GRID, empty), nss(GRID, empty)]
        scores += [auc_uniform(GRID, empty)]
        assert all(math.isnan(score) for score in scores)
    assert math.isnan(auc([], [1.0]))
    assert math.isnan(auc([1.0], []))


@pytest.mark.parametrize("name", CALLS)
def test_scores_are_plain_floats_and_inputs_stay_as_they_are(name: str) -> None:
    before = GRID.copy()
    GRID.setflags(write=False)
    XY.setflags(write=False)
    scores = {repr(CALLS[name](grid)) for grid in (GRID, GRID.tolist(), np.asfortranarray(GRID), GRID[::1])}
    assert len(scores) == 1
    assert type(CALLS[name](GRID)) is float
    assert np.array_equal(GRID, before)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.where(GRID == 0, np.nan, GRID), "saliency: 1 of 6 pixels are not finite"),
        (np.where(GRID > 0.2, -np.inf, GRID), "saliency: 3 of 6 pixels are not finite"),
        (GRID.ravel(), "expected a map"),
        (GRID[None], "expected a map"),
        (np.empty((0, 3)), "expected a map"),
        (GRID.astype(str), "expected numbers"),
        (GRID.astype(complex), "expected numbers"),
    ],
)
def test_nonsense_maps_are_refused(name: str, bad: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CALLS[name](bad)


@pytest.mark.parametrize("metric", [sim, kld, chi2])
def test_distributions_must_be_distributions(metric: Any) -> None:
    for bad, message in (
        (GRID - 0.15, "2 of 6 pixels are negative"),
        (0 * GRID, "the sum is 0"),
        (GRID * 1e308 * 1.9, "the sum is inf"),
    ):
        with pytest.raises(ValueError, match=f"saliency: {message}"):
            metric(bad, GRID)
        with pytest.raises(ValueError, match=f"density: {message}"):
            metric(GRID, bad)


@pytest.mark.parametrize("metric", [cc, sim, kld, chi2])
def test_maps_of_different_sizes_are_not_resized(metric: Any) -> None:
    with pytest.raises(ValueError, match=r"saliency is \(2, 3\) \(height, width\) but density is \(3, 2\)"):
        metric(GRID, GRID.T)


def test_values_without_a_rank_are_refused() -> None:
    for positives, negatives in (([1.0, math.nan], [0.0]), ([1.0], [math.nan, 0.0])):
        with pytest.raises(ValueError, match="NaN"):
            auc(positives, negatives)
    with pytest.raises(ValueError, match="one dimension"):
        auc(GRID, [0.0])
    with pytest.raises(ValueError, match="too wide"):
        nss([[-1.5e308, 1.5e308]], [(0, 0)])


def test_the_registry_names_real_functions_and_never_a_bare_auc() -> None:
    assert list(metrics.METRICS)[:3] == ["sauc", "sauc_same_video", "chi2"]
    assert {name.removesuffix("_same_video") for name in metrics.METRICS} == set(CALLS)
    for name, info in metrics.METRICS.items():
        assert info.name == name
        assert callable(getattr(metrics, name.removesuffix("_same_video")))
        assert info.label != "AUC"


@pytest.mark.parametrize("name", CALLS)
def test_the_registry_knows_the_better_direction_and_the_level_of_chance(name: str) -> None:
    info = metrics.METRICS[name]
    good, bad = CALLS[name](GRID), CALLS[name](GRID.max() - GRID)
    assert (good > bad) == info.higher_is_better
    if info.chance is not None:
        # A coin toss between a map and its opposite knows nothing.
        mirrored = CALLS[name](GRID), CALLS[name](1 - GRID)
        assert np.mean(mirrored) == pytest.approx(info.chance, abs=1e-12)


@brief
@given(scenes(), st.data())
def test_every_score_is_within_the_bounds_of_the_registry(scene: Scene, data: st.DataObject) -> None:
    grid, fixations, negatives = scene
    density = data.draw(hnp.arrays(np.float64, grid.shape, elements=SMOOTH))
    assume(grid.sum() > 1e-3 and density.sum() > 1e-3)
    scores = {
        "sauc": sauc(grid, fixations, negatives),
        "auc_judd": auc_judd(grid, fixations),
        "nss": nss(grid, fixations),
        **{metric.__name__: metric(grid, density) for metric in (cc, sim, chi2)},
        "kld": kld(grid, density) + 1e-9,  # the MIT form is below 0 by as much as its constant
    }
    for name, score in scores.items():
        info = metrics.METRICS[name]
        assert math.isnan(score) or info.lower_bound <= score <= info.upper_bound, name
