"""From a video file to its saliency maps, by a trained net or a baseline; streaming, at the video's own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dynsal import baselines
from dynsal.config import FlowConfig, PrepareConfig
from dynsal.config_baselines import Options
from dynsal.evaluation import resize_map
from dynsal.flow import estimator, thinned_fields
from dynsal.inference import Predictor
from dynsal.nets.weights import load_model
from dynsal.prepare import Frame, stride_for
from dynsal.video import decode, probe, resize

Maps = Iterator[tuple[int, NDArray[np.floating[Any]]]]


def baseline_maps(video: Path, options: Options, files: Mapping[str, Path]) -> Maps:
    """Yield (frame, H x W map >= 0) of every frame of a video, which the baseline sees at its own size.

    Raises
    ------
    DataError
        If the video or a file of the baseline is missing or damaged.
    """
    frames = (
        Frame(index, time, bgr, kept=True)
        for index, (time, bgr) in enumerate(decode(video))
        if bgr is not None
    )
    yield from baselines.create(options, files).maps(frames)


def net_maps(video: Path, model: Path, device: torch.device, batch_size: int = 8) -> Maps:
    """Yield (frame, H x W map >= 0) of every frame of a video, by a trained net at the size it was trained at.

    Frames are rescaled, flow is estimated, and videos with a higher rate are thinned for it, all as the model's
    metadata say it was trained; maps are rescaled to the video's size.

    Raises
    ------
    DataError
        If the video or the model is missing or damaged.
    """
    net, meta = load_model(model)
    predictor = Predictor(net, meta, device)
    info = probe(video)
    size = (int(meta["size"][0]), int(meta["size"][1]))
    frames = (
        Frame(index, time, resize(bgr, size), kept=True)
        for index, (time, bgr) in enumerate(decode(video))
        if bgr is not None
    )
    if "flow" in predictor.inputs:
        flow = FlowConfig.model_validate(meta["flow"])
        # Older files lack the section; the default thins nothing.
        prepare = PrepareConfig.model_validate({**meta.get("prepare", {}), "size": size})
        stride = stride_for(info.fps, prepare.fps_target)
        pairs = thinned_fields(frames, estimator(flow.estimator), flow.direction, stride, str(video))
        items = ((frame.index, frame.bgr, field) for frame, field in pairs)
        maps = predictor.predict_stream(items, batch_size, info.fps)
    else:
        alone = ((frame.index, frame.bgr, None) for frame in frames)
        maps = predictor.predict_stream(alone, batch_size, info.fps)
    for index, saliency in maps:
        yield index, resize_map(saliency, (info.width, info.height))
