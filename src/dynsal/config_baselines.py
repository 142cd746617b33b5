"""Options of the baseline models; one class each, with the defaults of the authors' programs.

A part of the configuration (see `dynsal.config`), and as cheap to import. What the options mean in detail stands in the
modules of `dynsal.baselines`, under the same names.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]


class Options(BaseModel):
    """Unknown keys are refused and numbers must be numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    model: str

    def files(self) -> tuple[str, ...]:
        """Return the files of the registry ``baselines`` that the model needs with these options."""
        return ()


class GbvsOptions(Options):
    """Graph-based visual saliency (Harel, Koch, Perona 2006)."""

    model: Literal["gbvs"] = "gbvs"
    channels: Literal["DIO", "CIO", "DIOFM"] = Field(
        "DIO",
        description="Feature channels: `DIO` (DKL colour, intensity, orientation), `CIO` (opponent colours instead), "
        "`DIOFM` (with flicker and motion).",
    )
    blank_flat: bool = Field(
        False,
        description="Return an all-zero map for frames of little contrast, as the code behind the published DIEM "
        "figures does (grey range below 40, or more than 200 empty grey levels).",
    )
    colours: Literal["fit", "table"] = Field(
        "fit",
        description="Monitor table behind channel D: `fit`, polynomials fitted to the toolbox's (maps agree at r >= .9998), "
        "or `table`, the toolbox's own (rgb2dkl.m, downloaded).",
    )

    def files(self) -> tuple[str, ...]:
        """Return the toolbox's table, if it is wanted."""
        return ("rgb2dkl.m",) if self.colours == "table" else ()


class IttiOptions(Options):
    """Itti, Koch, Niebur 1998, as in the GBVS toolbox."""

    model: Literal["itti"] = "itti"


class PqftOptions(Options):
    """Phase spectrum of the quaternion Fourier transform (Guo, Ma, Zhang 2008)."""

    model: Literal["pqft"] = "pqft"
    variant: Literal["pqft2", "guo"] = Field(
        "pqft2",
        description="`pqft2`: Le Ngo's program, which the DIEM benchmark calls; `guo`: the author's own.",
    )
    tau: Count = Field(3, description="Frames back to which the motion channel compares.")


class IclOptions(Options):
    """Incremental coding length (Hou, Zhang 2008)."""

    model: Literal["icl"] = "icl"
    final: Literal["demo", "plain"] = Field(
        "demo",
        description="`demo`: squared once more and smoothed, as in the author's demo; `plain`: without that.",
    )
    half_life: Positive | None = Field(
        None,
        description="Frames over which past activity decays in the temporal form (from the paper's text; its "
        "constant is unknown); `null` treats every frame by itself.",
    )

    def files(self) -> tuple[str, ...]:
        """Return the filter bank."""
        return ("AW.mat",)


class SelfResemblanceOptions(Options):
    """Self-resemblance (Seo, Milanfar 2009)."""

    model: Literal["self_resemblance"] = "self_resemblance"
    form: Literal["space_time", "static_global", "static_local"] = Field(
        "space_time", description="Space-time, or the static program with global or local comparison."
    )
    block: Annotated[int, Field(ge=3)] = Field(80, description="Space-time: frames per block.")
    overlap: Annotated[int, Field(ge=0)] = Field(
        0, description="Space-time: frames that neighbouring blocks share; their maps are averaged."
    )

    @model_validator(mode="after")
    def _blocks_advance(self) -> SelfResemblanceOptions:
        if self.overlap >= self.block:
            raise ValueError(f"overlap {self.overlap} must be smaller than block {self.block}")
        return self


class SpectralOptions(Options):
    """Spectral residual per frame, OpenCV's StaticSaliencySpectralResidual (Hou, Zhang 2007)."""

    model: Literal["spectral_residual"] = "spectral_residual"


class TemporalSpectralOptions(Options):
    """Temporal spectral residual, after Cui, Liu, Metaxas 2009 (from memory), or the 3-D phase variant."""

    model: Literal["temporal_spectral"] = "temporal_spectral"
    form: Literal["residual", "phase3d"] = Field(
        "residual",
        description="`residual`: spectral residual of the X-T and Y-T slices; `phase3d`: phase of the 3-D transform.",
    )
    block: Annotated[int, Field(ge=3)] = Field(80, description="Frames per block.")


class RudoyOptions(Options):
    """Rudoy, Goldman, Shechtman, Zelnik-Manor 2013: candidates, 22 features, a random forest; needs training."""

    model: Literal["rudoy"] = "rudoy"
    trees: Count = Field(500, description="Trees of the forest.")
    faces: bool = Field(
        True,
        description="Face candidates by OpenCV's cascade, whose file must be downloaded (registry `baselines`); `false` does "
        "without, and Table 2 says so.",
    )
    people: bool = Field(
        True, description="Person candidates by OpenCV's HOG detector, in place of poselets."
    )
    person_score: float = Field(
        0.5, description="Smallest HOG score of a person; stands for the poselets' 1."
    )
    flow: Literal["dis", "deepflow", "farneback"] = Field(
        "dis", description="Estimator of the flow t to t-2."
    )
    samples: Count = Field(10_000, description="Pixels drawn from a map for mean shift.")
    anchors: Count = Field(
        40,
        description="Training: fewest anchors of a video. Shot cuts and the middles between them count; where they are "
        "fewer, the rest is drawn at random. (The authors' list for DIEM gives about 40 per video.)",
    )
    pairs: Count = Field(100_000, description="Most pairs of source and destination in training.")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of all sampling and of the forest.")

    def files(self) -> tuple[str, ...]:
        """Return the face cascade, if faces are looked for."""
        return ("haarcascade_frontalface_alt2.xml",) if self.faces else ()


class RareStyleOptions(Options):
    """RARE-style: rarity of colour and texture in the image itself; our reconstruction, not RARE2012 (Riche et al. 2013)."""

    model: Literal["rare_style"] = "rare_style"
    bins: Annotated[int, Field(ge=2)] = Field(
        32, description="Bins in which a map's values are counted; the authors' number is unknown."
    )


BaselineOptions = Annotated[
    GbvsOptions
    | IttiOptions
    | PqftOptions
    | IclOptions
    | SelfResemblanceOptions
    | SpectralOptions
    | TemporalSpectralOptions
    | RudoyOptions
    | RareStyleOptions,
    Field(discriminator="model"),
]


class Entry(NamedTuple):
    """The module in `dynsal.baselines` and the class of a baseline."""

    module: str
    name: str
    trained: bool = False
    """Whether it needs a model trained on gaze, as the file ``model``."""


REGISTRY = {
    "rudoy": Entry("rudoy.model", "Rudoy", trained=True),
    "gbvs": Entry("gbvs", "Gbvs"),
    "pqft": Entry("pqft", "Pqft"),
    "icl": Entry("icl", "Icl"),
    "itti": Entry("itti", "Itti"),
    "self_resemblance": Entry("self_resemblance", "SelfResemblance"),
    "spectral_residual": Entry("spectral", "SpectralResidual"),
    "temporal_spectral": Entry("spectral", "TemporalSpectral"),
    "rare_style": Entry("rare", "RareStyle"),
}
