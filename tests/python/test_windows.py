"""Windows and their owners: the same tables as in src/inference/tokenize.rs and stitch.rs."""

from itertools import pairwise

import numpy as np
import pytest

from scripts.train.windows import Window, owners, stitch


@pytest.mark.parametrize(
    ("n_tokens", "expected"),
    [
        (0, [(0, 0)]),
        (1, [(0, 1)]),
        (4, [(0, 4)]),
        (5, [(0, 4), (3, 5)]),
        (7, [(0, 4), (3, 7)]),
        (8, [(0, 4), (3, 7), (6, 8)]),
    ],
)
def test_windows_start_at_a_fixed_step_as_in_the_service(n_tokens: int, expected: list[tuple[int, int]]) -> None:
    ranges = Window(max_length=6, stride=1).ranges(n_tokens)
    assert [(window.start, window.stop) for window in ranges] == expected


def test_every_token_is_in_a_window_and_neighbours_share_the_stride() -> None:
    for n_tokens in range(1, 60):
        for capacity in range(1, 12):
            for stride in range(capacity):
                ranges = Window(capacity + 2, stride).ranges(n_tokens)
                assert ranges[0].start == 0
                assert ranges[-1].stop == n_tokens
                assert all(0 < len(window) <= capacity for window in ranges)
                for window, following in pairwise(ranges):
                    assert window.stop - following.start == stride
                    assert following.stop > window.stop


@pytest.mark.parametrize(
    ("n_tokens", "windows", "expected"),
    [
        (0, [range(0)], []),
        (3, [range(3)], [0, 0, 0]),
        (12, [range(8), range(4, 12)], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
        (7, [range(4), range(1, 5), range(2, 6), range(3, 7)], [0, 0, 0, 1, 2, 3, 3]),
    ],
)
def test_a_token_belongs_to_the_window_with_most_context(
    n_tokens: int, windows: list[range], expected: list[int]
) -> None:
    assert owners(n_tokens, windows).tolist() == expected


def test_stitched_logits_are_those_of_the_owner() -> None:
    first, second = np.array([[0.0], [1], [2], [3]]), np.array([[12.0], [13], [14], [15]])
    stitched = stitch(6, [range(4), range(2, 6)], [first, second])
    assert stitched.ravel().tolist() == [0, 1, 2, 13, 14, 15]


def test_a_text_without_tokens_has_no_rows_but_all_labels() -> None:
    assert stitch(0, [range(0)], [np.zeros((0, 3))]).shape == (0, 3)
