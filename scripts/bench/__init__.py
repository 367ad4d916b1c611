"""Measures the whole service against raw ONNX Runtime and against Hugging Face's pipeline, in one run.

    pip install -r scripts/requirements.txt
    python -m scripts.bench.run --model models/ressort --out bench-results

Measurements: `run` (everything; a table and a plot), `score` (`ressort score` against raw streams), `heads` (two heads
against one), `batches` (whether windows run faster together), `overload` (more requests than the capacity), `memory`
(resident memory over many documents), `swap` (model swaps under load), `text_rules` (what the rules for texts as they
arrive are worth), `turns` (model folders and builds of the service against each other), `answers` (what evidence and
groups cost), `first_answer` (time from the server's start to it).
Their parts: `texts` (German of mixed lengths), `load` (clients over HTTP), `server` (starts one), `ceiling` (ONNX
Runtime in a loop, no server), `pipeline` (transformers on PyTorch), `plot`, and `base_shape` (a model with the shape of
XLM-R base).

Compare results of one run only, as ratios: machines differ, and one machine differs from hour to hour. Where other work
disturbs the clock, processor time per document is the better measure; `run` gives both.
"""
