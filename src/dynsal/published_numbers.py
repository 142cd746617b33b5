"""The numbers of the protocol behind the published baseline figures; see `dynsal.published`."""

SCALE = 5
"""Native pixels per pixel of the working copy."""
SIGMA = (10.0, 10.0)
"""Standard deviations of the ground truth's Gaussian, in pixels of the working copy."""
DRAWS = 100
"""Random sets of negatives per frame."""
CENTRE_SD = 1 / 16
"""Standard deviation of the release's centre model, on both axes, as a fraction of the width."""
