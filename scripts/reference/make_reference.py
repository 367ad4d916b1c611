"""Writes tests/reference/*.json: what PyTorch and the transformers pipelines answer.

    python -m scripts.reference.make_reference

The folders under tests/models must be there (`make_models`); each is held against
PyTorch once more before its values are written. Every file names the versions that
it was made with. Scores and logits have seven significant digits.

    logits.json                token ids and logits of each text alone
    text_classification.json   pipeline("text-classification", top_k=None)
    token_classification.json  pipeline("token-classification") for every strategy
    pipeline_differences.json  the same on texts where the pipeline is wrong
"""

import json
import pathlib
import platform
import warnings
from typing import Any

import onnxruntime
import tokenizers
import torch
import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TokenClassificationPipeline, pipeline

from scripts.export_model import TOLERANCE, check_tokenizer, compare, encode
from scripts.reference import families, lexicon, two_heads
from scripts.reference.pipeline_cases import CASES, PipelineCase
from scripts.reference.texts import LOGIT_TEXTS, PLAIN_TEXTS, TOPIC_TEXTS

MODELS_FOLDER = pathlib.Path("tests/models")
REFERENCE_FOLDER = pathlib.Path("tests/reference")
STRATEGIES = ["none", "simple", "first", "average", "max"]
# Quantised arithmetic has no PyTorch counterpart: here ONNX Runtime's own Python answer is the reference.
ONNX_ONLY = ["bert-cased-ner-fp16", "bert-cased-ner-int8", "bert-cased-ner-qdq", "bert-cased-ner-q4"]
ONNX_ONLY += ["xlmr-cls-fp16", "xlmr-cls-int8"]


def main() -> None:
    """Writes the four files."""
    REFERENCE_FOLDER.mkdir(exist_ok=True)
    models = load_models()
    taggers = {name: pair for name, pair in models.items() if "-ner" in name}
    classifiers = {name: pair for name, pair in models.items() if "-cls" in name or name == "lexicon-topics"}
    two_headed = {two.name: two_heads.build(two) for two in two_heads.MODELS}
    logits = [torch_logits(name, *pair) for name, pair in models.items()]
    logits += [torch_logits(name, *pair, two_heads.OUTPUTS) for name, pair in two_headed.items()]
    logits += [onnx_logits(name) for name in ONNX_ONLY]
    write("logits", {"models": logits})
    write("text_classification", {"models": [classified(name, *pair) for name, pair in classifiers.items()]})
    write("token_classification", {"models": [tagged(name, *pair) for name, pair in taggers.items()]})
    write("pipeline_differences", {"cases": differences(taggers)})


def load_models() -> dict[str, tuple[torch.nn.Module, PreTrainedTokenizerBase]]:
    """The one-headed models: weights made again from the seed, tokenizers read from the folders."""
    models = {tiny.name: families.build(tiny)[0] for tiny in families.MODELS}
    models |= {name: model for name, (model, _) in lexicon.build_all().items()}
    return {name: (model, AutoTokenizer.from_pretrained(MODELS_FOLDER / name)) for name, model in models.items()}


def torch_logits(
    name: str,
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    outputs: tuple[str, ...] = ("logits",),
) -> dict:
    """PyTorch's logits of each text alone, after the folder's model.onnx was held against them."""
    folder = MODELS_FOLDER / name
    texts = texts_within(tokenizer)
    check_tokenizer(tokenizer, folder)
    worst = max(row.max_difference for row in compare(model, tokenizer, folder / "model.onnx", texts, outputs))
    if not worst < TOLERANCE:
        raise SystemExit(f"{folder} is {worst:.1e} from PyTorch; run scripts.reference.make_models")
    cases = []
    for text in texts:
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            result = model(**encoded)
        values = {output: rounded(result[output][0].tolist()) for output in outputs}
        cases.append({"text": text, "input_ids": encoded["input_ids"][0].tolist(), **values})
    return {"model": name, "source": "pytorch", "outputs": list(outputs), "cases": cases}


def onnx_logits(name: str) -> dict:
    """ONNX Runtime's logits of each text alone."""
    tokenizer = AutoTokenizer.from_pretrained(MODELS_FOLDER / name)
    session = onnxruntime.InferenceSession(MODELS_FOLDER / name / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    cases = []
    for text in LOGIT_TEXTS:
        encoded = {key: ids.numpy() for key, ids in encode(tokenizer, [text], inputs).items()}
        (logits,) = session.run(["logits"], encoded)
        ids = encoded["input_ids"][0].tolist()
        cases.append({"text": text, "input_ids": ids, "logits": rounded(logits[0].tolist())})
    return {"model": name, "source": "onnxruntime", "outputs": ["logits"], "cases": cases}


def texts_within(tokenizer: PreTrainedTokenizerBase, texts: list[str] = LOGIT_TEXTS) -> list[str]:
    """Those texts that the model takes whole."""
    return [text for text in texts if len(tokenizer(text, verbose=False)["input_ids"]) <= tokenizer.model_max_length]


def classified(name: str, model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> dict:
    """The scores of all labels, highest first."""
    classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    cases = [{"text": text, "scores": rounded(classifier([text])[0])} for text in texts_within(tokenizer, TOPIC_TEXTS)]
    return {"model": name, "problem_type": model.config.problem_type, "cases": cases}


def tagged(name: str, model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> dict:
    """The entities by strategy; those that go by words only where the pipeline finds the words."""
    tagger = pipeline("token-classification", model=model, tokenizer=tokenizer)
    cases = []
    for text in texts_within(tokenizer, PLAIN_TEXTS):
        strategies = STRATEGIES if finds_words(tagger, text) else STRATEGIES[:2]
        cases.append({"text": text} | {strategy: entities(tagger, text, strategy) for strategy in strategies})
    return {"model": name, "cases": cases}


def finds_words(tagger: TokenClassificationPipeline, text: str) -> bool:
    """Whether the pipeline groups the tokens into the words between the spaces."""
    found = []
    group = tagger.group_entities
    tagger.group_entities = lambda words: found.extend(words) or group(words)
    try:
        entities(tagger, text, "first")
    finally:
        tagger.group_entities = group
    surfaces = [text[word["start"] : word["end"]].strip() for word in found]
    return surfaces == text.split(" ")


def entities(tagger: TokenClassificationPipeline, text: str, strategy: str, stride: int | None = None) -> list[dict]:
    """What the pipeline returns."""
    options = {} if stride is None else {"stride": stride}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rounded(tagger(text, aggregation_strategy=strategy, **options))


def differences(taggers: dict[str, tuple[torch.nn.Module, PreTrainedTokenizerBase]]) -> list[dict]:
    """The cases in which the pipeline is wrong, with what it returns for each strategy."""
    return [difference(case, *taggers[case.model]) for case in CASES]


def difference(case: PipelineCase, model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> dict:
    """One case; a strategy that gives the right answer after all is left out."""
    tagger = pipeline("token-classification", model=model, tokenizer=tokenizer)
    right = None if case.right is None else [{"label": label, "text": text} for label, text in case.right]
    answers = {name: entities(tagger, case.text, name, case.stride) for name in case.strategies}
    wrong = {name: answer for name, answer in answers.items() if surfaces(case.text, answer) != case.right}
    if not wrong:
        raise SystemExit(f"the pipeline is right about {case.text!r}")
    return {
        "model": case.model,
        "text": case.text,
        "why": case.why,
        "stride": case.stride,
        "right": right,
        "transformers": wrong,
    }


def surfaces(text: str, answer: list[dict]) -> list[tuple[str, str]]:
    """Label and surface of each entity."""
    return [(entity["entity_group"], text[entity["start"] : entity["end"]]) for entity in answer]


def rounded(value: Any) -> Any:
    """The value with every float in it at seven significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.7g}") if hasattr(value, "__float__") and not isinstance(value, int) else value


def write(name: str, content: dict) -> None:
    """Writes one file: the versions, then one line for each model or case."""
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    ((key, items),) = content.items()
    lines = ",\n".join(json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items)
    head = f'"versions":{json.dumps(versions)}'
    path = REFERENCE_FOLDER / f"{name}.json"
    path.write_text(f'{{{head},\n"{key}":[\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{path}: {len(items)} {key}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
