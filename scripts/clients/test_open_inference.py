"""tritonclient against the Open Inference Protocol."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

TEXTS = ["👍 Angela Merkel traf Olaf Scholz in Köln.", "", "Der FC Bayern gewann"]


@pytest.fixture
def client(server: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.removeprefix("http://")) as client:
        yield client


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def tensor(texts: list[str], binary: bool = True, shape: tuple[int, ...] | None = None) -> InferInput:
    array = np.array(texts, dtype=np.object_).reshape(shape or (len(texts),))
    return InferInput("text", array.shape, "BYTES").set_data_from_numpy(array, binary_data=binary)


def test_server_and_models_describe_themselves(client: InferenceServerClient, headers: dict[str, str]) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata(headers=headers)["extensions"]
    metadata = client.get_model_metadata("two-heads", headers=headers)
    version = metadata["versions"][0]
    assert client.get_model_metadata("two-heads", version, headers=headers) == metadata
    assert client.is_model_ready("two-heads", headers=headers)
    assert client.is_model_ready("two-heads", version, headers=headers)
    assert not client.is_model_ready("two-heads", "1", headers=headers)
    assert not client.is_model_ready("nobody", headers=headers)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tensors_are_the_same_in_json_and_in_binary_form(
    client: InferenceServerClient, headers: dict[str, str], binary_in: bool, binary_out: bool | None
) -> None:
    names = ["topic_labels", "topic_scores", "topic_accepted", "entities", "answer"]
    outputs = None if binary_out is None else [InferRequestedOutput(name, binary_data=binary_out) for name in names]
    result = client.infer("two-heads", [tensor(TEXTS, binary_in)], outputs=outputs, headers=headers, request_id="a1")
    assert result.get_response()["id"] == "a1"
    labels, scores = result.as_numpy("topic_labels"), result.as_numpy("topic_scores")
    assert labels.shape == scores.shape == result.as_numpy("topic_accepted").shape == (3, 4)
    assert scores.dtype == np.float32
    assert (np.diff(scores[0]) <= 0).all()
    assert (scores[1] == 0).all()
    answers = [json.loads(answer) for answer in result.as_numpy("answer")]
    for row, answer in enumerate(answers):
        assert json.loads(result.as_numpy("entities")[row]) == answer["entities"]
        for topic, score in zip(answer["topics"], scores[row], strict=False):
            assert topic["score"] == pytest.approx(float(score))


def test_options_shapes_versions_and_packed_bodies(client: InferenceServerClient, headers: dict[str, str]) -> None:
    version = client.get_model_metadata("lexicon-ner", headers=headers)["versions"][0]
    text = TEXTS[0]
    result = client.infer(
        "lexicon-ner",
        [tensor([text], shape=(1, 1))],
        model_version=version,
        headers=dict(headers),  # the client adds the coding of the body to it
        parameters={"offset_unit": "utf16", "aggregation": "first"},
        priority=2,
        timeout=30_000_000,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    )
    entities = json.loads(result.as_numpy("entities")[0])
    assert [entity["text"] for entity in entities] == ["Angela Merkel", "Olaf Scholz", "Köln"]
    assert entities[0]["start"] == 3
    waiting = [client.async_infer("lexicon-ner", [tensor([text])], headers=headers) for _ in range(8)]
    assert len({request.get_result().as_numpy("entities")[0] for request in waiting}) == 1


def test_errors_say_what_is_wrong(client: InferenceServerClient, headers: dict[str, str]) -> None:
    def refused(status: int, words: str, **request: object) -> None:
        request = {"model_name": "lexicon-ner", "inputs": [tensor(["a"])], "headers": headers, **request}
        with pytest.raises(InferenceServerException, match=re.escape(words)) as error:
            client.infer(**request)
        assert error.value.status() == str(status)

    refused(401, "a key is required", headers={})
    refused(404, "no model is called `nobody`", model_name="nobody")
    refused(422, "unknown field `sequence_id`", sequence_id=1)
    refused(422, "unknown field `classification`", outputs=[InferRequestedOutput("entities", class_count=2)])
    refused(422, "does not serve topics", outputs=[InferRequestedOutput("topic_scores")])


def test_the_repository_loads_and_unloads(
    client: InferenceServerClient, headers: dict[str, str], admin_key: str
) -> None:
    def states() -> dict[str, str]:
        index = client.get_model_repository_index(headers=headers)
        # The models that ship with the program are found too.
        return {model["name"]: model["state"] for model in index if not model["name"].startswith("ressort")}

    admin = {"authorization": f"Bearer {admin_key}"}
    assert states() == {
        "lexicon-ner": "READY",
        "lexicon-topics": "READY",
        "two-heads": "READY",
        "two-heads-pooled": "UNAVAILABLE",
    }
    with pytest.raises(InferenceServerException, match="does not have the scope `admin`"):
        client.load_model("two-heads-pooled", headers=headers)
    client.load_model("two-heads-pooled", headers=admin)
    assert states()["two-heads-pooled"] == "READY"
    client.infer("two-heads-pooled", [tensor(["a"])], headers=headers)
    client.unload_model("two-heads-pooled", headers=admin)
    assert states()["two-heads-pooled"] == "UNAVAILABLE"
    with pytest.raises(InferenceServerException, match="it is active"):
        client.unload_model("lexicon-ner", headers=admin)
    with pytest.raises(InferenceServerException, match="unknown field `config`"):
        client.load_model("two-heads-pooled", headers=admin, config="{}")
