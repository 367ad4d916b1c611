"""What teachers say of words and topics, put where it belongs."""

import numpy as np

from scripts.train.cutting import cut_in_windows
from scripts.train.labels import ENTITY_TAGS, TOPICS
from scripts.train.soft_labels import Tokens, label_windows, taught_topics


def read(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tags = np.zeros((*ids.shape, len(ENTITY_TAGS)), np.float32)
    tags[..., 3] = ids  # the larger the id, the surer
    topics = np.zeros((*ids.shape, len(TOPICS)), np.float32)
    topics[..., 0] = ids
    topics[mask == 0] = 1000
    return tags, topics


def test_each_word_gets_the_distribution_of_its_first_piece_and_each_document_its_mean() -> None:
    ids = np.array([0, 11, 12, 13, 14, 2, 0, 15, 16, 2])
    is_first_piece = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1, 0]) > 0
    tokens = Tokens(ids, is_first_piece, np.array([6, 4]))
    reported = []
    windows = cut_in_windows(ids, tokens.lengths, [], 3)
    tags, topics = label_windows(read, tokens, windows, 8, reported.append)
    np.testing.assert_allclose(tags[is_first_piece].sum(1), 1, atol=1e-3)
    assert (tags[is_first_piece].argmax(1) == 3).all()
    assert not tags[~is_first_piece].any()
    np.testing.assert_allclose(topics[:, 0], 1 / (1 + np.exp([-12.5, -15.5])), rtol=1e-6)
    np.testing.assert_allclose(topics[:, 1:], 0.5)
    assert reported[-1] == 6


def test_topics_of_an_example_lean_on_the_teachers_and_one_without_topics_takes_theirs() -> None:
    targets, weights = np.array([[1.0, 0], [0, 0], [0, 0]]), np.array([[1.0, 0.5], [0, 0], [0.5, 0.5]])
    taught = np.array([[0.5, 0.25], [0.75, 0.125], [0.25, 0]])
    new_targets, new_weights = taught_topics(targets, weights, taught, 0.25)
    assert new_targets.tolist() == [[0.75, 0.125], [0.75, 0.125], [0.125, 0]]
    assert new_weights.tolist() == [[1, 0.5], [0.25, 0.25], [0.5, 0.5]]
    assert new_targets.dtype == new_weights.dtype == np.float32
    assert not taught_topics(targets, weights, taught, 0.0)[1][1].any()
