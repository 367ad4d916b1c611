"""What evidence and groups cost: the same documents asked for with and without them, in turns, of one server.

    python -m scripts.bench.answers MODEL

Prints the processor time of a document with each as a multiple of the time without.
"""

import statistics
import sys

from . import load, server, texts

N_DOCUMENTS, ROUNDS, N_CLIENTS = 100, 5, 4
OPTIONS = {
    "neither": {},
    "evidence": {"evidence": True},
    "group": {"group": True},
    "both": {"evidence": True, "group": True},
}


def main() -> None:
    documents = texts.make_texts(N_DOCUMENTS, 200.0, 2)
    worked = {name: [] for name in OPTIONS}
    with server.serving("--model", f"m={sys.argv[1]}") as (port, process):
        load.run_load(port, documents, N_CLIENTS)
        for _ in range(ROUNDS):
            for name, options in OPTIONS.items():
                before = server.cpu_seconds(process)
                load.run_load(port, documents, N_CLIENTS, options)
                worked[name].append(server.cpu_seconds(process) - before)
    ms = {name: statistics.median(rounds) / N_DOCUMENTS * 1000 for name, rounds in worked.items()}
    print(f"neither: {ms['neither']:.1f} ms of processor time a document")
    for name in list(OPTIONS)[1:]:
        ratios = sorted(with_it / without for with_it, without in zip(worked[name], worked["neither"], strict=True))
        print(f"{name}: {ms[name] / ms['neither']:.3f} times as much ({ratios[0]:.3f} to {ratios[-1]:.3f} by round)")


if __name__ == "__main__":
    main()
