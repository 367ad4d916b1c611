"""Measures the whole service against raw ONNX Runtime and against Hugging Face's pipeline, in one run.

    pip install -r scripts/requirements.txt
    python -m scripts.bench.run --model models/ressort --out bench-results

Measurements: `run` (all of it; a table and a plot), `score` (`ressort score` against raw streams), `heads` (two heads
beside one), `batches` (whether windows run faster together), `overload` (more requests than can be answered), `memory`
(resident memory over many documents), `swap` (switches under load).
What they are made of: `texts` (German of mixed lengths), `load` (clients over HTTP), `server` (starts one), `ceiling` (ONNX
Runtime in a loop, no server), `pipeline` (transformers on PyTorch), `plot`, and `base_shape` (an XLM-R-base-shaped model to
measure with).

Figures of one run are compared with one another, as ratios: machines differ, and so does one from hour to hour. Where other
work disturbs the clock, processor time a document says more; `run` gives both.
"""
