"""Legacy variants: against literal transcriptions of their definitions, and what is known to go wrong."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage, stats

from dynsal import legacy_metrics as legacy
from dynsal import metrics

brief = settings(max_examples=40, deadline=None)

Scene = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@st.composite
def scenes(draw: st.DrawFn, max_side: int = 6) -> Scene:
    """Draw a map with ties, fixations and negatives, all on whole pixels, with repetitions."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=max_side))
    values = st.sampled_from([0.0, 0.1, 0.3, 0.35, 0.7, 1.0]) | st.floats(-5, 5, allow_subnormal=False)
    grid = draw(hnp.arrays(np.float64, shape, elements=values))
    pixel = st.tuples(st.integers(0, shape[1] - 1), st.integers(0, shape[0] - 1))
    some = st.lists(pixel, min_size=1, max_size=10).map(lambda xy: np.array(xy, dtype=np.float64))
    return grid, draw(some), draw(some)


def merged(grid: NDArray[Any], xy: NDArray[np.float64]) -> list[float]:
    """Values at the fixated pixels, each once, in no particular order."""
    return [float(grid[y, x]) for x, y in {(int(x), int(y)) for x, y in xy}]


def stepped_roc(positives: list[float], negatives: list[float], thresholds: list[float]) -> float:
    """Area by trapezoids, threshold after threshold, with both corners added."""
    curve = [(0.0, 0.0)]
    for threshold in sorted(thresholds, reverse=True):
        fp = sum(n >= threshold for n in negatives) / len(negatives)
        tp = sum(p >= threshold for p in positives) / len(positives)
        curve.append((fp, tp))
    curve.append((1.0, 1.0))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))


def matlab_range(step: float, top: float) -> list[float]:
    """0:step:top, which reaches top itself even where rounding says it does not."""
    return [min(k * step, top) for k in range(round(top / step) + 2) if k * step <= top + 1e-9 * step]


def stretched(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    return (grid - grid.min()) / (grid.max() - grid.min())


def blob(cx: float, cy: float, sigma: float) -> NDArray[np.float64]:
    y, x = np.mgrid[:120, :160]
    return np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Make a quarter-size version of the frame on which protocol.md 7.6 measures the pitfalls.

    Every fixation has a pixel of its own, so that merging duplicates is no part of any difference.
    """
    rng = np.random.default_rng(4)
    around = np.concatenate([rng.normal([110, 40], 8, (31, 2)), rng.normal([79.5, 59.5], [26, 20], (14, 2))])
    fixations = np.unique(np.round(np.clip(around, 0, [159, 119])), axis=0)
    negatives = np.unique(
        np.round(np.clip(rng.normal([79.5, 59.5], [30, 22], (4000, 2)), 0, [159, 119])), axis=0
    )
    return 0.7 * blob(110, 40, 10) + 0.3 * blob(79.5, 59.5, 24), fixations, negatives


# --- AUC variants against their definitions ---


@brief
@given(scenes(), st.sampled_from([0.1, 0.01, 0.25]))
def test_mit_shuffled_equals_its_definition_where_no_draw_is_left(scene: Scene, step: float) -> None:
    grid, fixations, negatives = scene
    # A pool no larger than the fixations is taken whole by every split.
    negatives = negatives[: len(np.unique(fixations, axis=0))]
    score = legacy.mit_auc_shuffled(grid, fixations, negatives, n_splits=3, step=step)
    if np.ptp(grid) == 0:
        assert math.isnan(score)
        return
    unit = stretched(grid)
    positive, negative = merged(unit, fixations), merged(unit, negatives)
    expected = stepped_roc(positive, negative, matlab_range(step, max(positive + negative)))
    assert score == pytest.approx(expected, abs=1e-12)


@brief
@given(scenes())
def test_borji_shuffled_equals_its_definition_for_a_pool_of_one_pixel(scene: Scene) -> None:
    grid, fixations, negatives = scene
    unit = stretched(grid) if np.ptp(grid) else np.zeros_like(grid)
    positive, negative = merged(unit, fixations), merged(unit, negatives[:1])
    expected = stepped_roc(positive, negative, matlab_range(0.01, max(positive + negative)))
    score = legacy.borji_auc_shuffled(grid, fixations, negatives[:1].repeat(3, axis=0), n_splits=2)
    assert score == pytest.approx(expected, abs=1e-12)


@brief
@given(scenes())
def test_salicon_sauc_equals_its_definition(scene: Scene) -> None:
    grid, fixations, negatives = scene
    unit = stretched(grid) if np.ptp(grid) else np.zeros_like(grid)
    own = {(int(x), int(y)) for x, y in fixations}
    negative = [float(unit[int(y), int(x)]) for x, y in negatives if (int(x), int(y)) not in own]
    positive = [float(unit[int(y), int(x)]) for x, y in fixations]
    score = legacy.salicon_sauc(grid, fixations, negatives)
    if not negative:
        assert math.isnan(score)
        return
    expected = stepped_roc(positive, negative, list(np.arange(0, max(positive + negative), 0.01)))
    assert score == pytest.approx(expected, abs=1e-12)


@brief
@given(scenes())
def test_mit_judd_without_jitter_equals_its_definition(scene: Scene) -> None:
    grid, fixations, _ = scene
    score = legacy.mit_auc_judd(grid, fixations, jitter=False)
    n_others = grid.size - len(merged(grid, fixations))
    if np.ptp(grid) == 0 or n_others == 0:
        assert math.isnan(score)
        return
    unit = stretched(grid)  # which may make ties of tiny differences
    positive = sorted(merged(unit, fixations), reverse=True)
    curve = [(0.0, 0.0)]
    for i, threshold in enumerate(positive, start=1):
        curve.append((((unit >= threshold).sum() - i) / n_others, i / len(positive)))
    curve.append((1.0, 1.0))
    expected = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))
    assert score == pytest.approx(expected, abs=1e-12)


@brief
@given(st.permutations(range(20)), st.sets(st.integers(0, 19), min_size=1, max_size=19))
def test_mit_judd_exceeds_the_exact_form_by_at_most_half_a_fixation(
    ranks: list[int], pixels: set[int]
) -> None:
    """Without ties: the trapezoids cut the corners of the staircase."""
    grid = np.array(ranks, dtype=np.float64).reshape(4, 5)
    fixations = np.array([(p % 5, p // 5) for p in sorted(pixels)])
    excess = legacy.mit_auc_judd(grid, fixations, jitter=False) - metrics.auc_judd(grid, fixations)
    assert -1e-12 <= excess <= 0.5 / len(fixations) + 1e-12


def test_a_golden_value_of_each_auc_by_hand() -> None:
    grid = np.array([[0.0, 0.95, 1.0], [0.5, 0.25, 0.05]])
    fixations, negatives = [(2, 0), (1, 1)], [(1, 0), (2, 1)]
    # Positives 1, .25; negatives .95, .05. Steps: 1 -> (0, .5), .9 -> (.5, .5), .2 -> (.5, 1), 0 -> (1, 1).
    assert legacy.mit_auc_shuffled(grid, fixations, negatives) == pytest.approx(0.75, abs=1e-12)
    assert metrics.sauc(grid, fixations, negatives) == 0.75
    # At .5 the first two values fall together: (.5, .5), then (1, 1).
    assert legacy.mit_auc_shuffled(grid, fixations, negatives, step=0.5) == pytest.approx(0.625, abs=1e-12)
    # SALICON's thresholds stop at .99, so nothing separates 1 from itself; .95 still does.
    assert legacy.salicon_sauc(grid, fixations, negatives) == pytest.approx(0.75, abs=1e-12)
    # With a step of .5 it has 0 and .5 only: (.5, .5), (1, 1).
    assert legacy.salicon_sauc(grid, fixations, negatives, step=0.5) == pytest.approx(0.5, abs=1e-12)
    # Judd: thresholds 1 and .25, others .95, .5, .05, 0: (0, .5), (.5, 1), (1, 1).
    assert legacy.mit_auc_judd(grid, fixations, jitter=False) == pytest.approx(0.875, abs=1e-12)


# --- what the draws and the steps do ---


def test_legacy_shuffled_aucs_tend_to_the_exact_one_on_a_smooth_map(scene: Scene) -> None:
    saliency, fixations, negatives = scene
    exact = metrics.sauc(saliency, fixations, negatives)
    assert legacy.borji_auc_shuffled(saliency, fixations, negatives) == pytest.approx(exact, abs=0.01)
    fine = legacy.mit_auc_shuffled(saliency, fixations, negatives, n_splits=400, step=0.001)
    assert fine == pytest.approx(exact, abs=0.01)
    # No draws: what is left are its dropped last threshold and the negatives on the frame's own fixations.
    assert legacy.salicon_sauc(saliency, fixations, negatives) == pytest.approx(exact, abs=0.015)


def test_legacy_uniform_aucs_tend_to_the_exact_one(scene: Scene) -> None:
    saliency, fixations, _ = scene
    rows, columns = np.indices(saliency.shape)
    exact = metrics.sauc(saliency, fixations, np.column_stack((columns.ravel(), rows.ravel())))
    assert 0.8 < exact < 0.95
    assert legacy.mit_auc_borji(saliency, fixations, n_splits=400, step=0.001) == pytest.approx(
        exact, abs=0.01
    )
    assert legacy.salicon_auc(saliency, fixations, step=1e-4) == pytest.approx(exact, abs=0.005)
    assert legacy.borji_auc_shuffled(saliency, fixations, [], n_splits=400) == pytest.approx(exact, abs=0.01)


def test_mit_steps_punish_a_peaky_map_with_the_same_ranking(scene: Scene) -> None:
    saliency, fixations, negatives = scene
    peaky = saliency**8
    assert metrics.sauc(peaky, fixations, negatives) == metrics.sauc(saliency, fixations, negatives)
    smooth_score = legacy.mit_auc_shuffled(saliency, fixations, negatives)
    assert legacy.mit_auc_shuffled(peaky, fixations, negatives) < smooth_score - 0.05


def test_jitter_breaks_ties_at_random_and_leaves_the_rest(scene: Scene) -> None:
    saliency, fixations, _ = scene
    plain = legacy.mit_auc_judd(saliency, fixations, jitter=False)
    assert legacy.mit_auc_judd(saliency, fixations) == pytest.approx(plain, abs=1e-4)
    steps = 2e-7 * np.random.default_rng(0).permutation(saliency.size).reshape(saliency.shape)
    assert legacy.mit_auc_judd(steps, fixations) == legacy.mit_auc_judd(steps, fixations, jitter=False)
    constant = [legacy.mit_auc_judd(np.ones((60, 80)), fixations / 2, rng=seed) for seed in range(60)]
    assert np.std(constant) > 0.01
    assert np.mean(constant) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    "draw",
    [
        lambda s, f, n, rng: legacy.mit_auc_shuffled(s, f, n, n_splits=3, rng=rng),
        lambda s, f, n, rng: legacy.mit_auc_borji(s, f, n_splits=3, rng=rng),
        lambda s, f, n, rng: legacy.borji_auc_shuffled(s, f, n, n_splits=3, rng=rng),
        lambda s, f, n, rng: legacy.salicon_auc(s, f, n_random=50, rng=rng),
        lambda s, f, n, rng: legacy.mit_auc_judd(np.round(s, 1), f, rng=rng),
    ],
)
def test_draws_follow_the_seed_and_nothing_else(scene: Scene, draw: Any) -> None:
    first = draw(*scene, None)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    assert draw(*scene, None) == first == draw(*scene, 0) == draw(*scene, np.random.default_rng(0))
    assert len({draw(*scene, seed) for seed in range(5)}) > 1


def test_constant_maps_score_as_each_code_base_has_it() -> None:
    constant, xy, others = np.full((5, 6), 3.0), [(1, 1), (2, 4)], [(0, 0), (5, 4)]
    for score in (
        legacy.mit_auc_shuffled(constant, xy, others),
        legacy.mit_auc_borji(constant, xy),
        legacy.mit_auc_judd(constant, xy, jitter=False),
        legacy.mit_nss(constant, xy),
        legacy.mit_cc(constant, np.eye(5, 6)),
        legacy.mit_similarity(constant, np.eye(5, 6)),
        legacy.salicon_cc(constant, xy),
    ):
        assert math.isnan(score)
    for score in (
        metrics.sauc(constant, xy, others),
        legacy.borji_auc_shuffled(constant, xy, others),
        legacy.salicon_auc(constant, xy),
        legacy.salicon_sauc(constant, xy, others),
    ):
        assert score == 0.5
    assert legacy.salicon_nss(constant, xy) == 0.0
    assert legacy.mit_similarity(np.zeros((5, 6)), np.eye(5, 6)) == 0.0


def test_duplicates_count_in_salicon_only(scene: Scene) -> None:
    saliency, fixations, negatives = scene
    weight = np.arange(len(fixations)) % 4
    doubled = np.repeat(fixations, 1 + weight, axis=0)
    for function in (
        lambda xy: legacy.mit_auc_shuffled(saliency, xy, negatives, n_splits=2),
        lambda xy: legacy.mit_auc_judd(saliency, xy),
        lambda xy: legacy.mit_auc_borji(saliency, xy, n_splits=2),
        lambda xy: legacy.mit_nss(saliency, xy),
        lambda xy: legacy.borji_auc_shuffled(saliency, xy, negatives, n_splits=2),
        lambda xy: legacy.salicon_cc(saliency, xy),
    ):
        assert function(doubled) == function(fixations)
    for function in (
        lambda xy: legacy.salicon_auc(saliency, xy),
        lambda xy: legacy.salicon_sauc(saliency, xy, negatives),
        lambda xy: legacy.salicon_nss(saliency, xy),
    ):
        assert function(doubled) != function(fixations)


def test_mit_borji_refuses_a_single_fixated_pixel() -> None:
    grid = np.arange(12.0).reshape(3, 4)
    assert math.isnan(legacy.mit_auc_borji(grid, [(1, 1), (1, 1)]))
    assert legacy.mit_auc_borji(grid, [(3, 2), (2, 2)]) > 0.5


# --- the other metrics ---


def test_mit_nss_has_the_sample_standard_deviation_and_merges_duplicates() -> None:
    grid = np.array([[0.0, 0.0], [0.0, 4.0]])  # mean 1, sample variance 4
    assert legacy.mit_nss(grid, [(1, 1)]) == pytest.approx(1.5, abs=1e-12)
    assert legacy.mit_nss(grid, [(1, 1), (0, 0), (0, 0)]) == pytest.approx(0.5, abs=1e-12)
    assert legacy.salicon_nss(grid, [(1, 1)]) == pytest.approx(math.sqrt(3), abs=1e-12)


@brief
@given(scenes())
def test_mit_nss_equals_scipys_z_scores(scene: Scene) -> None:
    grid, fixations, _ = scene
    assume(np.ptp(grid) > 1e-6)
    expected = np.mean(merged(stats.zscore(grid, axis=None, ddof=1), fixations))
    assert legacy.mit_nss(grid, fixations) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_mit_similarity_stretches_both_maps_first() -> None:
    p, q = np.array([[1.0, 3.0]]), np.array([[2.0, 1.0]])
    assert legacy.mit_similarity(p, q) == 0.0  # (0, 1) and (1, 0)
    assert metrics.sim(p, q) == pytest.approx(0.25 + 1 / 3)
    a, b = np.array([[0.0, 1.0, 3.0]]), np.array([[2.0, 1.0, 0.0]])
    assert legacy.mit_similarity(a, b) == metrics.sim(a, b) == 0.25
    assert legacy.mit_similarity(5 + 2 * a, 7 + b) == pytest.approx(0.25, abs=1e-12)


def test_mit_kld_and_cc_are_the_plain_forms() -> None:
    p, q = np.array([[1.0, 1.0]]), np.array([[2.0, 0.0]])
    assert legacy.mit_kld(p, q) == pytest.approx(math.log(2), abs=1e-12)
    assert legacy.mit_cc([[0.0, 1.0, 2.0]], [[0.0, 2.0, 1.0]]) == pytest.approx(0.5, abs=1e-12)


def test_mit_density_is_the_fourier_low_pass_of_the_original() -> None:
    shape, cutoff = (24, 40), 4.0
    fixations = [(3, 2), (3, 2), (30, 20), (39, 0)]
    side = 64  # the next power of two, padded with zeros to twice that
    padded = np.zeros((2 * side, 2 * side))
    for x, y in fixations:
        padded[side + y, side + x] = 1
    frequency = np.fft.fftfreq(2 * side, 1 / (2 * side))
    width = 2 * cutoff / math.sqrt(math.log(2))
    transfer = np.exp(-(frequency[:, None] ** 2 + frequency**2) / width**2)
    expected = np.fft.ifft2(np.fft.fft2(padded) * transfer).real[side : side + 24, side : side + 40]
    assert legacy.mit_density(fixations, shape, cutoff) == pytest.approx(expected, abs=1e-9)


def test_mit_density_at_640_by_480_has_a_standard_deviation_of_24_pixels() -> None:
    profile = legacy.mit_density([(320, 240)], (480, 640))[240]
    x = np.arange(640) - 320
    assert math.sqrt((profile * x**2).sum() / profile.sum()) == pytest.approx(23.98, abs=0.01)


def test_salicon_cc_is_one_for_the_blurred_fixations_themselves() -> None:
    impulse = np.zeros((120, 160))
    impulse[40, 110] = impulse[90, 20] = 1
    prediction = ndimage.gaussian_filter(impulse, 19)
    assert legacy.salicon_cc(prediction, [(110, 40), (20, 90), (20, 90)]) == pytest.approx(1, abs=1e-12)
    assert legacy.salicon_cc(blob(110, 40, 19), [(110, 40)]) == pytest.approx(1, abs=0.01)
    assert legacy.salicon_cc(-prediction, [(110, 40), (20, 90)]) == pytest.approx(-1, abs=1e-12)
    assert legacy.salicon_cc(prediction, [(110, 40), (20, 90)], sigma=5) < 0.9


def test_salicon_filter_keeps_repetitions() -> None:
    points = [(1, 2), (3, 4), (1, 2), (5, 6), (1, 2), (3, 4), (2, 1)]
    assert sorted(map(tuple, legacy.salicon_filter(points).tolist())) == [(1, 2), (1, 2), (3, 4)]


# --- resizing ---


def test_borji_resizes_by_nearest_neighbour_with_matlabs_ties() -> None:
    small = np.array([[0.0, 0.2], [0.9, 1.0]])
    large = np.kron(small, np.ones((2, 2)))
    xy, others = [(3, 3), (0, 2)], [(0, 0)]
    assert legacy.borji_auc_shuffled(small, xy, others, shape=(4, 4)) == legacy.borji_auc_shuffled(
        large, xy, others
    )
    # Halving, every new centre lies between two old ones; Matlab takes the second.
    grid = np.array([[5.0, 1.0, 3.0, 2.0], [9.0, 0.0, 9.0, 1.0]])
    assert legacy.borji_auc_shuffled(grid, [(1, 0)], [(0, 0)], shape=(1, 2)) == 1.0
    assert legacy.borji_auc_shuffled(grid, [(0, 0)], [(1, 0)], shape=(1, 2)) == 0.0


def test_salicon_resizes_by_cubic_spline() -> None:
    rng = np.random.default_rng(0)
    small, xy, others = rng.random((6, 8)), [(30, 20), (3, 4)], [(10, 1), (25, 22)]
    large = ndimage.zoom(small, (4, 4), order=3)
    assert large.shape == (24, 32)
    for function in (legacy.salicon_auc, legacy.salicon_nss, legacy.salicon_cc):
        assert function(small, xy, shape=(24, 32)) == function(large, xy)
    assert legacy.salicon_sauc(small, xy, others, shape=(24, 32)) == legacy.salicon_sauc(large, xy, others)
    with pytest.raises(ValueError, match="outside the map of width 8 x height 6"):
        legacy.salicon_nss(small, xy)


# --- nonsense ---

GRID = np.array([[0.1, 0.4, 0.2], [0.9, 0.0, 0.3]])
XY = np.array([[0.0, 1.0], [2.0, 0.0]])
CALLS: dict[str, Any] = {
    "mit_auc_shuffled": lambda grid, xy: legacy.mit_auc_shuffled(grid, xy, XY),
    "mit_auc_judd": legacy.mit_auc_judd,
    "mit_auc_borji": legacy.mit_auc_borji,
    "mit_nss": legacy.mit_nss,
    "borji_auc_shuffled": lambda grid, xy: legacy.borji_auc_shuffled(grid, xy, XY),
    "salicon_auc": legacy.salicon_auc,
    "salicon_sauc": lambda grid, xy: legacy.salicon_sauc(grid, xy, [(1, 1)]),
    "salicon_nss": legacy.salicon_nss,
    "salicon_cc": legacy.salicon_cc,
}


@pytest.mark.parametrize("name", CALLS)
def test_nonsense_is_refused_and_nothing_to_score_is_nan(name: str) -> None:
    call = CALLS[name]
    assert math.isfinite(call(GRID, XY))
    assert math.isnan(call(GRID, np.empty((0, 2))))
    with pytest.raises(ValueError, match="1 of 6 pixels are not finite"):
        call(np.where(GRID == 0, np.nan, GRID), XY)
    with pytest.raises(ValueError, match="expected a map"):
        call(GRID.ravel(), XY)
    with pytest.raises(ValueError, match="1 of 2 points lie outside the map of width 3 x height 2"):
        call(GRID, XY + np.array([0.6, 0]))


@pytest.mark.parametrize("metric", [legacy.mit_kld, legacy.mit_similarity, legacy.mit_cc])
def test_maps_of_different_sizes_are_not_resized(metric: Any) -> None:
    with pytest.raises(ValueError, match=r"saliency is \(2, 3\) \(height, width\) but density is \(3, 2\)"):
        metric(GRID, GRID.T)


def test_an_empty_pool_is_nan_but_for_rudoys_code() -> None:
    assert math.isnan(legacy.mit_auc_shuffled(GRID, XY, []))
    assert math.isnan(legacy.salicon_sauc(GRID, XY, []))
    assert math.isnan(legacy.salicon_sauc(GRID, XY, XY))
    assert math.isfinite(legacy.borji_auc_shuffled(GRID, XY, []))


def test_senseless_parameters_are_refused() -> None:
    for step in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="step: expected a positive number"):
            legacy.mit_auc_shuffled(GRID, XY, XY, step=step)
    for call in (
        lambda: legacy.mit_auc_shuffled(GRID, XY, XY, n_splits=0),
        lambda: legacy.mit_auc_borji(GRID, XY, n_splits=0),
        lambda: legacy.borji_auc_shuffled(GRID, XY, XY, n_splits=0),
        lambda: legacy.salicon_auc(GRID, XY, n_random=0),
    ):
        with pytest.raises(ValueError, match="expected at least 1, found 0"):
            call()
    with pytest.raises(ValueError, match="K x 2"):
        legacy.salicon_filter(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="too wide"):
        legacy.mit_auc_borji([[-1.5e308, 1.5e308]], [(0, 0), (1, 0)])
