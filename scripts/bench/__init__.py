"""Measures the whole service against raw ONNX Runtime and against Hugging Face's pipeline, in one run.

    pip install -r scripts/requirements.txt
    python -m scripts.bench.run --model models/ressort --out bench-results

Modules: `texts` (German of mixed lengths), `load` (clients over HTTP), `ceiling` (ONNX Runtime in a loop,
no server), `pipeline` (transformers on PyTorch), `base_shape` (an XLM-R-base-shaped model to measure with),
`swap` (switches under load), `run` (all of it; a table and a plot).

Figures of one run are compared with one another, as ratios: machines differ, and so does one from hour to hour.
"""
