"""How many threads a step gets on a machine that others use too.

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
        """To be called between steps; looks again every `WINDOW_S`."""
        now = self._read()
        elapsed_s, busy_s, own_s = (new - old for new, old in zip(now, self._last))
        if elapsed_s < WINDOW_S:
            return
        self._last = now
        others = max(0.0, (busy_s - own_s) / elapsed_s)
        torch.set_num_threads(max(1, min(self.most, round(os.cpu_count() - others))))

    def _read(self) -> tuple[float, float, float]:
        """Now, the seconds that all cores were busy so far, and those that this process was."""
        return time.monotonic(), _busy_s(), time.process_time()


def _busy_s() -> float:
    """What all cores were busy with that doesn't make way for this process."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return time.process_time()  # not Linux: as if alone
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    makes_way = 0 if os.nice(0) > 0 else nice
    return (user + nice - makes_way + system + irq + softirq + steal) / TICKS_PER_S
