"""Tiny models and reference values for the tests of Ressort.

Three commands, all run from the repository's root with the packages of
`scripts/requirements.txt`:

    python -m scripts.reference.make_models     # writes tests/models/NAME/
    python -m scripts.reference.make_reference  # writes tests/reference/*.json
    python -m scripts.reference.make_metrics    # writes tests/reference/metrics.json

`make_models` makes model folders as `optimum-cli export onnx` writes them, with
random weights (fixed seeds) and tokenizers trained on the German text in
`corpus.py`. `make_reference` runs those same weights through `transformers` and
PyTorch and stores what comes out, with the versions that it came from; the
PyTorch weights are made again from the seed, so they need not be stored.

The files, in reading order:

    corpus.py            German sentences that the tokenizers are trained on
    texts.py             German texts that the reference values are made for
    tokenizer_kinds.py   one tokenizer for each family, trained on the corpus
    families.py          the table of models: family, task, labels, seed
    two_heads.py         one encoder with a topic head and an entity head
    lexicon.py           hand-made models whose answers a human can predict
    variants.py          fp16, int8, QDQ, 4-bit, external data, hub layout, ...
    make_models.py       writes and checks all of them
    pipeline_cases.py    texts on which the transformers pipeline goes wrong
    make_reference.py    writes the reference values
    make_metrics.py      writes figures of random answers as seqeval, nervaluate
                         and scikit-learn compute them (metrics-requirements.txt)
"""
