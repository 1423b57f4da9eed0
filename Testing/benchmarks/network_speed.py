"""How long a slider move takes with the networks, beside the paper's full-resolution hypernetwork, and their memory.

    python Testing/benchmarks/network_speed.py [--cases 192x192 96x64x96] [--threads 2] [--repeats 9] [--device cuda]

A slider move is what has to be computed again: for a map network the decoder and the integration on the velocity's grid
(Slicer itself samples only the slices it shows), for the hypernetwork everything from its dense layers on. Every
network runs in a process of its own, warm, with random weights (the values do not change the time); wall-clock medians.
"cpu" is the processor time of a slider move, which others on the machine disturb less; with several threads it counts
their waiting as well. The memory is the most the process ever held, torch included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "TissueElasticRegistration")]

from measuring import print_table  # noqa: E402

TISSUES = 6
# Longest slider move in ms, least ratio to the paper's network, most memory in MB; None: not promised.
TARGETS = {
    "192x192": (20, None, None),
    "96x64x96": (200, 8, None),
    "128x128x128": (250, None, None),
    "192x128x192": (None, None, 1200),
}
CUDA_TARGETS = {"192x128x192": (40, None, None)}
# The paper's network takes minutes for the large ones.
WITH_PAPER = ("192x192", "96x64x96")


def networks(dimension: int) -> dict:
    """The kinds that are shipped, and the paper's: six dense layers of 128 make every kernel, full resolution."""
    from TissueElasticRegistrationLib.core.models.network import NetworkConfig

    return {
        "universal": NetworkConfig(2) if dimension == 2 else NetworkConfig(3, map_layer="tissue", pooled_input=True),
        "paper": NetworkConfig(dimension, "hyper", 2, half_resolution=False, hyper_widths=(128,) * 6),
    }


def measure(case: str, kind: str, repeats: int, threads: int, device: str) -> dict[str, float]:
    """Medians in ms and the peak memory in MB of one network, in this process."""
    import resource

    import torch

    from TissueElasticRegistrationLib.core.models.network import MapParameters, RegistrationNetwork
    from TissueElasticRegistrationLib.core.physics.deformation import integrate

    torch.set_num_threads(threads)
    shape = tuple(map(int, case.split("x")))
    network = RegistrationNetwork(networks(len(shape))[kind]).eval().to(device)
    fixed, moving = torch.rand(2, 1, 1, *shape, device=device)
    tissues = MapParameters(stripes(shape).to(device), torch.rand(1, TISSUES, 2, device=device))

    def sliders():
        if kind == "paper":
            return torch.rand(1, 2, device=device)
        return tissues.with_sliders(torch.rand(1, TISSUES, 2, device=device))

    def timed(work, clock=time.perf_counter) -> float:
        spent = []
        for number in range(repeats + 2):  # the first two warm up
            began = clock()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            if number > 1:
                spent.append(1000 * (clock() - began))
        return median(spent)

    def move() -> torch.Tensor:
        return integrate(network.decode(features, sliders()), network.config.integration_steps)

    with torch.inference_mode():
        features = network.encode(fixed, moving)
        velocity = network.decode(features, sliders())
        times = {
            "encode": timed(lambda: network.encode(fixed, moving)),
            "decode": timed(lambda: network.decode(features, sliders())),
            "integrate": timed(lambda: integrate(velocity, network.config.integration_steps)),
            "move": timed(move),
            "cpu": timed(move, time.process_time),
        }
    unit = 1024.0 if sys.platform != "darwin" else 1024.0**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {**times, "peak": peak}


def stripes(shape):
    """(1, 1, *shape) labels in diagonal stripes of 16 voxels."""
    import torch

    places = sum(torch.meshgrid(*[torch.arange(size) for size in shape], indexing="ij"))
    return (places // 16 % TISSUES)[None, None]


def in_own_process(case: str, kind: str, options: argparse.Namespace) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--one",
        case,
        kind,
        "--repeats",
        str(options.repeats),
        "--threads",
        str(options.threads),
        "--device",
        options.device,
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def verdict(case: str, device: str, move: float, ratio: float | None, peak: float) -> str:
    """What was promised, and whether it was kept."""
    longest, least, most = (CUDA_TARGETS if device == "cuda" else TARGETS).get(case, (None, None, None))
    wanted = [
        (longest, longest is None or move <= longest, f"<= {longest} ms"),
        (least, least is None or ratio is None or ratio >= least, f">= {least}x"),
        (most, most is None or peak <= most, f"<= {most} MB"),
    ]
    return ", ".join(f"{text} {'kept' if kept else 'MISSED'}" for value, kept, text in wanted if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(TARGETS), help="sizes in voxels such as 96x64x96")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--one", nargs=2, metavar=("CASE", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.repeats, options.threads, options.device)))
        return
    rows = []
    for case in options.cases:
        ours = in_own_process(case, "universal", options)
        paper = in_own_process(case, "paper", options) if case in WITH_PAPER or options.device == "cuda" else None
        ratio = paper["move"] / ours["move"] if paper else None
        rows.append(
            [
                case,
                *(f"{ours[part]:.1f}" for part in ("encode", "decode", "integrate", "move", "cpu")),
                f"{paper['move']:.0f}" if paper else "-",
                f"{ratio:.1f}" if paper else "-",
                f"{ours['peak']:.0f}",
                verdict(case, options.device, ours["move"], ratio, ours["peak"]),
            ]
        )
    print_table(
        f"ms (medians of {options.repeats}), {options.threads} threads, load {os.getloadavg()[0]:.1f}",
        ["case", "encode", "decode", "integrate", "slider move", "cpu", "paper's", "ratio", "peak MB", "promised"],
        rows,
    )


if __name__ == "__main__":
    main()
