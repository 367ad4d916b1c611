"""tei-client against the routes of text-embeddings-inference."""

import asyncio
import math

import pytest
from tei_client import HttpClient

SPORT = "Der FC Bayern gewann"


@pytest.fixture
def client(server: str, key: str) -> HttpClient:
    return HttpClient(server, headers={"authorization": f"Bearer {key}"})


def test_info_and_health(client: HttpClient) -> None:
    info = client.info()
    assert client.health()
    assert info.server_model_id == "lexicon-topics"
    labels = client.client.get("/info").json()["model_type"]["classifier"]["id2label"]
    assert len(labels) == 4


def test_texts_are_classified_one_or_many(client: HttpClient) -> None:
    one, two = client.classify(SPORT), client.classify([SPORT, "Berlin"], truncate=True)
    assert one[0] == two[0]
    assert one[0].scores[0].label == "Sport"
    assert len(two) == 2
    assert asyncio.run(client.async_classify([SPORT, "Berlin"])) == two


def test_raw_scores_are_logits(client: HttpClient) -> None:
    score = client.classify(SPORT)[0].scores[0].score
    logit = client.classify(SPORT, raw_scores=True)[0].scores[0].score
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(score, abs=1e-6)


def test_pairs_and_wrong_keys_are_refused_in_its_shape(client: HttpClient, server: str) -> None:
    response = client.client.post("/predict", json={"inputs": ["eins", "zwei"]})
    assert response.status_code == 422
    assert response.json()["error_type"] == "Validation"
    assert "pairs of texts" in response.json()["error"]
    assert HttpClient(server).client.get("/info").status_code == 401
    assert HttpClient(server).client.get("/health").status_code == 200
