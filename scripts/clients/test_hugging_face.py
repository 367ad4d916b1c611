"""huggingface_hub against the Hugging Face routes."""

import asyncio
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError

TEXT = "👍 Angela Merkel traf Olaf Scholz in Köln."
SPORT = "Der FC Bayern gewann"


@pytest.fixture
def client(key: str) -> InferenceClient:
    return InferenceClient(token=key)


def test_topics_come_best_first(client: InferenceClient, server: str) -> None:
    for model in (f"{server}/models/lexicon-topics", server, f"{server}/models/two-heads"):
        scores = [topic.score for topic in client.text_classification(SPORT, model=model)]
        assert len(scores) == 4
        assert scores == sorted(scores, reverse=True)
    assert client.text_classification(SPORT, model=server)[0].label == "Sport"


def test_top_k_and_function_are_applied(client: InferenceClient, server: str) -> None:
    def scores(**parameters: Any) -> list[float]:
        return [topic.score for topic in client.text_classification(SPORT, model=server, **parameters)]

    assert len(scores(top_k=2)) == 2
    assert sum(scores(function_to_apply="softmax")) == pytest.approx(1, abs=1e-5)
    assert scores(function_to_apply="none")[0] > 1


def test_entities_have_offsets_of_python(client: InferenceClient, server: str) -> None:
    entities = client.token_classification(TEXT, model=f"{server}/models/lexicon-ner")
    assert [entity.entity_group for entity in entities] == ["PER", "PER", "LOC"]
    for entity in entities:
        assert TEXT[entity.start : entity.end] == entity.word


def test_parameters_choose_the_task_of_a_model_with_both(client: InferenceClient, server: str) -> None:
    model = f"{server}/models/two-heads"
    task = f"{model}/pipeline/token-classification"
    for strategy in ("simple", "first"):
        entities = client.token_classification(TEXT, model=model, aggregation_strategy=strategy)
        assert entities == client.token_classification(TEXT, model=task, aggregation_strategy=strategy)
    raw = client.token_classification(TEXT, model=f"{server}/models/lexicon-ner", aggregation_strategy="none")
    assert raw[0].entity == "B-PER"
    ignored = client.token_classification(TEXT, model=f"{server}/models/lexicon-ner", ignore_labels=["PER"])
    assert [entity.entity_group for entity in ignored] == ["LOC"]


def test_errors_say_what_is_wrong(client: InferenceClient, server: str) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        client.token_classification(TEXT, model=f"{server}/models/lexicon-ner", stride=2)
    assert error.value.response.status_code == 422
    assert "always read whole" in str(error.value)
    with pytest.raises(HfHubHTTPError) as error:
        client.text_classification(TEXT, model=f"{server}/models/nobody")
    assert error.value.response.status_code == 404
    with pytest.raises(HfHubHTTPError) as error:
        InferenceClient(token="wrong").text_classification(TEXT, model=server)
    assert error.value.response.status_code == 401


def test_the_asynchronous_client_gets_the_same(client: InferenceClient, server: str, key: str) -> None:
    async def topics() -> object:
        return await AsyncInferenceClient(token=key).text_classification(SPORT, model=server)

    assert asyncio.run(topics()) == client.text_classification(SPORT, model=server)
