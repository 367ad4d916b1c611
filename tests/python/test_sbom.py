"""The list of parts of the packages."""

from pathlib import Path

import pytest

from scripts.package.sbom import without_folder


@pytest.mark.parametrize(
    ("root", "listed"),
    [
        ("/home/anna/ressort", "path+file:///home/anna/ressort#0.1.0 bin-target-0"),
        ("/build/a longer name", "path+file:///build/a%20longer%20name#ressort@0.1.0 bin-target-0"),
    ],
)
def test_the_list_does_not_tell_the_folder(root: str, listed: str) -> None:
    assert without_folder(listed, Path(root)) == "path+file:///ressort#ressort@0.1.0 bin-target-0"
