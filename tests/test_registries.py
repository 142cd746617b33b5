"""The committed registries: every line can be used."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from dynsal import layout, places
from dynsal.download import fetch

NAMES = ("baselines", "diem", "hevc33", "osie", "salicon", "weights")
"""Every list of ``resources/datasets`` that is one of downloads."""


def test_all_are_tested():
    folder = layout.repo_root() / "resources" / "datasets"
    others = {"diem_videos", "downloads.lock"}
    assert {path.stem for path in folder.glob("*.csv")} - others == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_registry(name):
    """Sums and addresses are nobody else's, everything has a licence and a citation, and https is tried before http."""
    rows = layout.registry(name)
    for what in ("file", "sha256", "md5"):
        values = [value for value in (getattr(row, what) for row in rows) if value]
        assert len(values) == len(set(values)), what
    urls = [url for row in rows for url in row.urls]
    assert len(urls) == len(set(urls))
    for row in rows:
        assert row.licence, row.file
        assert row.citation, row.file
        assert row.urls or row.sha256, f"{row.file}: neither address nor checksum"
        assert row.page, f"{row.file}: nowhere to look by hand"
        assert all(urlsplit(page).netloc for page in row.page.split())
        for index, url in enumerate(row.urls):
            asked = urlsplit(places.address(url))
            assert asked.netloc, url
            assert asked.scheme == "https" or url.replace("http:", "https:") in row.urls[:index], url
            assert "/blob/" not in url, f"{url} is a page"


def test_what_the_data_sets_count_on():
    """Numbers of files, and the names that other modules use."""
    files = {name: {row.file for row in layout.registry(name)} for name in NAMES}
    assert len(files["hevc33"]) >= 34
    assert files["osie"] == {"fixations.mat", *(f"stimuli/{number}.jpg" for number in range(1001, 1701))}
    assert {"images.zip", "fixations_2017.zip", "fixations_train2014.json.zip"} <= files["salicon"]
    assert {"diem.tar.gz", "stavis/DIEM_frames.tar.gz", "stavis/DIEM_annotations.tar.gz"} == files["diem"]
    assert {"deep_net_model.caffemodel", "VGG_CNN_M.caffemodel", "final.caffemodel"} == files["weights"]
    assert {"AW.mat", "walker_codebook.mat", "clusters.mat", "diem_list_cuts.json"} <= files["baselines"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["baselines", "osie"])
def test_real_files_are_the_registered_ones(mirror, tmp_path, monkeypatch, name):
    """Every file that the mirror has passes its check."""
    monkeypatch.setenv("DYNSAL_MIRROR", "")
    rows = [row for row in layout.registry(name) if (mirror / name / row.file).is_file()]
    if not rows:
        pytest.skip(f"no {name} in {mirror}")
    for row in rows[:60]:
        fetch(row, tmp_path / row.file, [mirror], name, progress=False, in_place=True)
