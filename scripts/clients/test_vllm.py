"""vLLM's route, as its own examples call it: with plain HTTP."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest


def classify(server: str, key: str, body: dict[str, object]) -> dict:
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    with urlopen(Request(f"{server}/classify", json.dumps(body).encode(), headers)) as response:
        return json.load(response)


def test_scores_and_labels(server: str, key: str) -> None:
    answer = classify(server, key, {"model": "lexicon-topics", "input": ["Der FC Bayern gewann", "Berlin"]})
    assert answer["object"] == "list"
    assert [text["index"] for text in answer["data"]] == [0, 1]
    best = answer["data"][0]
    assert (best["label"], best["num_classes"], len(best["probs"])) == ("Sport", 4, 4)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"]


def test_errors_have_its_shape(server: str, key: str) -> None:
    with pytest.raises(HTTPError) as error:
        classify(server, key, {"model": "nobody", "input": "a"})
    problem = json.load(error.value)["error"]
    assert (error.value.code, problem["code"], problem["type"]) == (404, 404, "NotFoundError")
