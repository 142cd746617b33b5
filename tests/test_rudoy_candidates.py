"""Rudoy et al.: candidates of each type and the 22 features, by hand and against plain loops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dynsal.baselines.rudoy.candidates import (
    CENTRE,
    FACE,
    MOTION,
    PERSON,
    STATIC,
    Candidates,
    candidates,
    frame_centre,
)
from dynsal.baselines.rudoy.detectors import (
    FACE_FILE,
    NOTHING,
    Detections,
    FaceDetector,
    PeopleDetector,
    suppress,
)
from dynsal.baselines.rudoy.evidence import Evidence, Observer, working_size
from dynsal.baselines.rudoy.features import (
    NAMES,
    blur_contrast,
    box_scores,
    destination_features,
    pair_features,
    window_contrasts,
    window_means,
)
from dynsal.config_baselines import RudoyOptions
from dynsal.errors import DataError
from dynsal.prepare import Frame
from dynsal.video import decode, resize

OPTIONS = RudoyOptions(samples=2000, faces=False)


def evidence(size=(256, 144), **parts):
    """Return the evidence of a frame in which there is nothing, but for the parts given."""
    width, height = size
    nothing = {
        "grey": np.zeros((height, width), np.uint8),
        "flow": np.zeros((height, width, 2), np.float32),
        "static": np.zeros((height, width)),
        "faces": NOTHING,
        "people": NOTHING,
    }
    return Evidence(**{**nothing, **parts})


def detections(*boxes, scores=None):
    return Detections(
        np.array(boxes, float).reshape(-1, 4), np.ones(len(boxes)) if scores is None else np.array(scores)
    )


def spot(x, y, sigma, size=(256, 144)):
    down, across = np.mgrid[: size[1], : size[0]]
    return np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * sigma**2))


def test_an_empty_frame_has_its_centre():
    """Sigma 144 / 8; the box reaches as far."""
    found = candidates(evidence(), OPTIONS, 0)
    np.testing.assert_array_equal(found.kinds, [CENTRE])
    np.testing.assert_array_equal(found.points, [[127, 71]])
    np.testing.assert_array_equal(found.variances, [[324, 324]])
    np.testing.assert_array_equal(found.boxes, [[109, 53, 145, 89]])


def test_a_face():
    """Sigma a box side / 8; boxes smaller than 20 pixels grow; a second hit of the same face goes."""
    found = candidates(
        evidence(faces=detections([10, 20, 42, 52], [12, 20, 42, 50], [200, 100, 216, 116])), OPTIONS, 0
    )
    np.testing.assert_array_equal(found.kinds, [FACE, FACE, CENTRE])
    np.testing.assert_array_equal(found.points[:2], [[26, 36], [208, 108]])
    np.testing.assert_array_equal(found.variances[:2], [[16, 16], [4, 4]])
    np.testing.assert_array_equal(found.boxes[:2], [[10, 20, 42, 52], [198, 98, 218, 118]])


def test_the_centre_is_left_out_only_near_another_candidate():
    """Within 144 / 8 = 18 pixels of (127, 71)."""
    for x, kinds in ((109, [FACE]), (108, [FACE, CENTRE])):
        found = candidates(evidence(faces=detections([x - 10, 61, x + 10, 81])), OPTIONS, 0)
        np.testing.assert_array_equal(found.kinds, kinds)


def test_people_large_small_and_tiny():
    """Diagonals 100, 50 and 25 of 144 rows: four candidates, one (below 0.4 x 144 = 57.6), none (below 0.3 x 100)."""
    people = detections([20, 10, 80, 90], [150, 10, 180, 50], [200, 100, 215, 120], scores=[2.0, 1.0, 3.0])
    found = candidates(evidence(people=people), OPTIONS, 0)
    chosen = found[found.kinds == PERSON]
    expected = {
        (50, 50, (100 / 12) ** 2, 2.0),
        (35, 30, (100 / 12) ** 2, 1.0),
        (65, 30, (100 / 12) ** 2, 1.0),
        (50, 25, (100 / 6) ** 2, 2.0),  # the head: a quarter of the width below the top
        (165, 30, (50 / 3) ** 2, 1.0),
    }
    rows = np.column_stack([chosen.points, chosen.variances[:, 0], chosen.scores])
    np.testing.assert_allclose(sorted(map(tuple, rows)), sorted(expected))
    np.testing.assert_array_equal(chosen.variances[:, 0], chosen.variances[:, 1])
    sigma = np.sqrt(chosen.variances)
    np.testing.assert_allclose(chosen.boxes, np.hstack([chosen.points - sigma, chosen.points + sigma]))


def test_people_tiny_in_the_frame_are_none():
    """Diagonals 25 and 20, either side of 0.15 x 144 = 21.6, though both are above 0.3 x 25."""
    found = candidates(evidence(people=detections([20, 10, 35, 30], [200, 100, 212, 116])), OPTIONS, 0)
    np.testing.assert_array_equal(found.points[found.kinds == PERSON], [[27.5, 20]])


def test_people_below_the_score_or_outside_the_frame_are_none():
    weak = detections([20, 10, 80, 90], scores=[0.5])
    assert PERSON not in candidates(evidence(people=weak), OPTIONS, 0).kinds
    outside = detections([-80, 10, -20, 90], scores=[2.0])
    assert PERSON not in candidates(evidence(people=outside), OPTIONS, 0).kinds


def test_motion_and_saliency():
    """Squared flow below 2 is none, so 1.4 pixels do not move; boxes have sides of 20 pixels or more."""
    flow = np.zeros((144, 256, 2), np.float32)
    flow[..., 0] = 1.4
    flow[..., 1] = 4 * spot(60, 40, 10)
    found = candidates(evidence(flow=flow, static=spot(200, 100, 5)), OPTIONS, 0)
    np.testing.assert_array_equal(found.kinds, [MOTION, STATIC, CENTRE])
    np.testing.assert_array_equal(found.points[:2], [[60, 40], [200, 100]])
    np.testing.assert_allclose(found.variances[1], [25, 25], rtol=1e-3)
    np.testing.assert_allclose(found.boxes[1], [190, 90, 210, 110])
    flow[..., 1] = 0
    np.testing.assert_array_equal(candidates(evidence(flow=flow), OPTIONS, 0).kinds, [CENTRE])


def test_candidates_depend_on_seed_and_frame_only():
    """Equal calls give equal samples; another seed or frame gives others."""
    seen = evidence((64, 48), static=np.random.default_rng(0).random((48, 64)))

    def points(seed, index):
        return candidates(seen, RudoyOptions(samples=300, seed=seed, faces=False), index).points.tolist()

    assert points(0, 5) == points(0, 5)
    assert points(0, 5) != points(1, 5)
    assert points(0, 5) != points(0, 6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 12))
def test_suppression_keeps_the_surest_of_every_pile(seed, n):
    """Against the plain loop: in order of score, a box stays if it overlaps none that stays by more than half."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 40, (n, 2))
    found = Detections(np.hstack([corner, corner + random.uniform(10, 40, (n, 2))]), random.uniform(0, 1, n))
    kept = []
    for one in np.argsort(-found.scores, kind="stable"):
        if found.scores[one] > 0.2 and all(
            overlap(found.boxes[one], found.boxes[other]) <= 0.5 for other in kept
        ):
            kept.append(one)
    left = suppress(found, 0.2)
    np.testing.assert_array_equal(left.boxes, found.boxes[kept])
    np.testing.assert_array_equal(left.scores, found.scores[kept])


def overlap(one, other):
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = sides.prod() if (sides > 0).all() else 0.0
    return common / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - common)


def test_feature_names_are_the_22():
    assert len(NAMES) == len(set(NAMES)) == 22


def made(seed=0, size=(60, 48), k=9):
    """Return random evidence and candidates, some at the frame's corners."""
    random = np.random.default_rng(seed)
    width, height = size
    seen = evidence(
        size,
        grey=random.integers(0, 256, (height, width), dtype=np.uint8),
        flow=random.normal(0, 3, (height, width, 2)).astype(np.float32),
        static=random.random((height, width)),
        faces=detections([5, 5, 25, 30]),
        people=detections([20, 2, 40, 44], [1, 1, 30, 40], scores=[2.0, 1.0]),
    )
    points = np.vstack(
        [[0, 0], [width - 1, height - 1], random.uniform(0, [width - 1, height - 1], (k - 2, 2))]
    )
    found = Candidates(
        points,
        random.integers(1, 6, k),
        np.ones(k),
        random.uniform(4, 90, (k, 2)),
        np.zeros((k, 4)),
    )
    return seen, found


def test_features_against_plain_loops():
    """Every feature of every pair, written out once more from its definition."""
    seen, found = made()
    sources = np.array([[3.5, 7.0], found.points[4], [30.0, 20.0]])
    got = pair_features(destination_features(seen, found), sources, found.points)
    assert got.shape == (3, 9, 22)
    for i, source in enumerate(sources):
        for k in range(len(found)):
            np.testing.assert_allclose(
                got[i, k], plain_features(seen, found, k, source), rtol=1e-6, atol=1e-9
            )


def plain_features(seen, found, k, source):
    width, height = seen.size
    x, y = (int(np.floor(value + 0.5)) for value in found.points[k])

    def pixels(values, half):
        return [
            float(values[j, i])
            for j in range(max(0, y - half), min(height - 1, y + half) + 1)
            for i in range(max(0, x - half), min(width - 1, x + half) + 1)
        ]

    row = [np.hypot(x - (width / 2 - 1), y - (height / 2 - 1))]
    u, v = (seen.flow[..., axis].astype(float) for axis in (0, 1))
    for part in (np.sqrt(u**2 + v**2), u, v):
        wide, narrow = (
            ndimage.gaussian_filter(part, sigma, truncate=25 / sigma, mode="reflect") for sigma in (20, 10)
        )
        row += [np.mean(pixels(abs(wide - narrow), half)) for half in (0, 2, 4)]
    row += [np.mean(pixels(seen.static, half)) for half in (0, 2, 4)]
    for detected in (seen.faces, seen.people):
        scores = []
        for (left, top, right, bottom), score in zip(*detected, strict=True):
            dx, dy = x - (left + right) / 2, y - (top + bottom) / 2
            sx, sy = (right - left) / 2, (bottom - top) / 2
            scores.append(
                score / max(detected.scores) * np.exp(-(dx**2) / (2 * sx**2)) * np.exp(-(dy**2) / (2 * sy**2))
            )
        row.append(max(scores))
    row.append(found.kinds[k])

    def ratio(values):
        return (max(values) - min(values)) / (max(values) + min(values))

    row += [
        ratio(pixels(seen.grey, half)) / ratio(seen.grey.astype(float).ravel().tolist()) for half in (2, 4, 8)
    ]
    row.append(np.sqrt((found.variances[k][0] + found.variances[k][1]) / 2))
    dx, dy = source[0] - x, source[1] - y
    row.append(np.hypot(dx, dy))
    row.append(np.arctan(dy / dx) if dx else np.sign(dy) * np.pi / 2)
    return row


def test_no_jump_has_angle_zero():
    found = np.array([[4.0, 6.0]])
    features = pair_features(np.zeros((1, 20)), np.array([[4.0, 6.0], [4.0, 1.0], [0.0, 2.0]]), found)
    np.testing.assert_allclose(features[:, 0, 20:], [[0, 0], [5, -np.pi / 2], [np.sqrt(32), np.pi / 4]])


def test_features_without_anything_in_the_frame():
    """Black frame, no boxes: no feature is undefined; a black window in a frame with contrast has none either."""
    empty = evidence()
    found = candidates(empty, OPTIONS, 0)
    row = destination_features(empty, found)[0]
    np.testing.assert_array_equal(row, [*[0] * 15, CENTRE, 0, 0, 0, 18])
    grey = np.zeros((40, 40), np.uint8)
    grey[30:] = 200
    np.testing.assert_array_equal(
        window_contrasts(grey, np.array([[5.0, 5], [5, 31]])), [[0, 0, 0], [1, 1, 1]]
    )
    assert not window_contrasts(np.full((40, 40), 9, np.uint8), np.array([[5.0, 5]])).any()
    assert not box_scores(NOTHING, np.array([[5.0, 5]])).any()


def test_window_means_by_hand():
    """A ramp: the mean of a full window is its middle, of a clipped one less far out."""
    ramp = np.tile(np.arange(20.0), (20, 1))
    np.testing.assert_allclose(window_means(ramp, np.array([[10.0, 10], [0, 0]])), [[10, 10, 10], [0, 1, 2]])


def test_blur_contrast_of_a_constant_is_zero():
    np.testing.assert_allclose(blur_contrast(np.full((16, 24), 3.0)), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 720), (256, 144)),
        ((640, 480), (192, 144)),
        ((720, 576), (180, 144)),
        ((1280, 544), (340, 144)),
        ((208, 116), (208, 116)),
        ((97, 50), (100, 52)),
    ],
)
def test_working_size(size, expected):
    """144 rows where there are more; else the frame's own, up to multiples of four."""
    assert working_size(size) == expected


def test_flow_leads_two_frames_back_over_all_frames():
    """A texture that moves 3 pixels per frame to the right; the first and the fifth are wanted."""
    random = np.random.default_rng(0)
    texture = cv2.GaussianBlur(random.normal(0, 1, (144, 260, 3)).astype(np.float32), (0, 0), 3)
    texture = np.clip(127 + 50 * texture / texture.std(), 0, 255).astype(np.uint8)
    frames = [
        Frame(i, i / 25, np.ascontiguousarray(texture[:, 30 - 3 * i : 222 - 3 * i]), i in (0, 4))
        for i in range(5)
    ]
    observer = Observer(RudoyOptions(people=False, faces=False), {})
    seen = list(observer.watch(frames, lambda _, frame: frame.kept))
    assert [position for position, _, _ in seen] == [0, 4]
    assert not seen[0][2].flow.any()
    np.testing.assert_allclose(np.median(seen[1][2].flow, axis=(0, 1)), [-6, 0], atol=0.2)


@pytest.mark.parametrize("shape", [(12, 12), (400, 12)])
def test_frames_too_small_for_flow_are_refused(shape):
    frames = [Frame(7, 0.0, np.zeros((*shape, 3), np.uint8), True)]
    with pytest.raises(DataError, match=f"frame 7: is {shape[1]} x {shape[0]} pixels, too few"):
        list(Observer(OPTIONS, {}).watch(frames, lambda *_: True))


@pytest.fixture(scope="module")
def players(mirror):
    """Return a real frame with basketball players, at the working scale."""
    _, frame = next(decode(mirror / "hevc33" / "videos" / "BasketballPass.avi"))
    return resize(frame, working_size((frame.shape[1], frame.shape[0])))


@pytest.mark.data
def test_people_are_the_same_with_any_number_of_threads(players):
    """OpenCV's threads deliver in any order."""
    before = cv2.getNumThreads()
    found = []
    try:
        for threads in (1, 4, 4):
            cv2.setNumThreads(threads)
            found.append(PeopleDetector()(players))
    finally:
        cv2.setNumThreads(before)
    assert len(found[0].scores) > 10
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].boxes, other.boxes)
        np.testing.assert_array_equal(found[0].scores, other.scores)


@pytest.mark.data
def test_people_are_found_where_they_stand(players):
    """Read off the picture: whole figures around columns 53 and 170, from about row 15 (25) to 140 (122)."""
    (first, second), _ = (column[:2] for column in suppress(PeopleDetector()(players), 0.5))
    np.testing.assert_allclose(first, [34, 15, 70, 140], atol=20)
    np.testing.assert_allclose(second, [158, 25, 185, 122], atol=20)


def test_frames_smaller_than_the_people_detector_have_no_people():
    assert len(PeopleDetector()(np.zeros((60, 28, 3), np.uint8)).scores) == 0


def test_a_missing_or_wrong_cascade_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"cascade is missing\. .*faces: false"):
        FaceDetector(None)
    with pytest.raises(DataError, match=r"cascade is missing\. .*faces: false"):
        FaceDetector(tmp_path / "none.xml")
    for text in ("<html>not found</html>", "<?xml version='1.0'?><opencv_storage></opencv_storage>"):
        wrong = tmp_path / "page.xml"
        wrong.write_text(text)
        with pytest.raises(DataError, match=r"page\.xml: is no cascade that OpenCV can read"):
            FaceDetector(wrong)


@pytest.mark.data
def test_faces_of_a_couple(mirror):
    """Read off the picture: two faces around (62, 44) and (185, 34), 35 pixels wide; no other."""
    cascade = mirror / "baselines" / FACE_FILE
    if not cascade.is_file():
        pytest.skip(f"no {FACE_FILE} in {cascade.parent}")
    _, frame = next(decode(mirror / "hevc33" / "videos" / "Couple.avi"))
    small = resize(frame, working_size((frame.shape[1], frame.shape[0])))
    boxes = FaceDetector(cascade)(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)).boxes
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(sorted(map(tuple, middle)), [[62, 44], [185, 34]], atol=5)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 33, atol=6)


def test_frame_centre_counts_from_one():
    np.testing.assert_array_equal(frame_centre((256, 144)), [127, 71])
