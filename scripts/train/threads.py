"""The number of threads for a step on a shared machine.

Threads that wait for each other are as slow as the slowest: with one of two cores busy, two threads under `nice` train
several times slower than one."""

import os
import time
from pathlib import Path

import torch

WINDOW_S = 2.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ThreadGovernor:
    """Sets PyTorch's threads to the cores that other programs leave free, from 1 to `most`."""

    def __init__(self, most: int):
        self.most = most
        torch.set_num_threads(most)
        self._last = self._read()

    def adjust(self) -> None:
        """Call it between steps; it measures every `WINDOW_S`."""
        if os.nice(0) < 0:
            return  # other programs yield to this one
        now = self._read()
        elapsed_s, busy_s, own_s = (new - old for new, old in zip(now, self._last, strict=True))
        if elapsed_s < WINDOW_S:
            return
        self._last = now
        others = max(0.0, (busy_s - own_s) / elapsed_s)
        torch.set_num_threads(max(1, min(self.most, round((os.cpu_count() or 1) - others))))

    def _read(self) -> tuple[float, float, float]:
        """The time, the busy seconds of all cores so far, and those of this process."""
        return time.monotonic(), _busy_s(), time.process_time()


def _busy_s() -> float:
    """The busy seconds of all cores, without work that yields to this process."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return time.process_time()  # not Linux: as if no other process ran
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    makes_way = 0 if os.nice(0) > 0 else nice
    return (user + nice - makes_way + system + irq + softirq + steal) / TICKS_PER_S
