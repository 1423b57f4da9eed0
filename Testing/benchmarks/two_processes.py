"""Does training by two processes (gloo, CPU) give the loss curve of one process with the same global batch?

python Testing/benchmarks/two_processes.py [--steps 30]

Not among the tests, as processes that have to wait for each other depend on how busy the computer is. Ends with exit
code 1 if a loss differs by more than 0.0002: the two add up the pairs of a batch in another order, and training
amplifies what that changes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from measuring import ROOT

from training.history import read_history

TOLERANCE = 2e-4
SETTINGS = (
    "--shape",
    "32",
    "32",
    "--spacing-mm",
    "12",
    "--phantoms",
    "6",
    "--first-phantoms",
    "6",
    "--batch",
    "2",
    "--warm-up",
    "2",
    "--validation-pairs",
    "2",
    "--log-every",
    "1",
    "--integration-steps",
    "4",
    "--seed",
    "5",
    "--no-background",
    "--accelerator",
    "cpu",
)


def main() -> None:
    """Train twice, compare the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        alone = curve(Path(folder), "alone", steps, [])
        shared = curve(
            Path(folder), "shared", steps, ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        )
    difference = float(np.abs(alone - shared).max())
    print(
        f"{steps} steps: J from {alone[0]:.4f} to {alone[-1]:.4f}, largest change between steps "
        f"{np.abs(np.diff(alone)).max():.4f}; largest difference of two processes from one {difference:.6f}"
    )
    if difference > TOLERANCE:
        sys.exit(f"That is more than {TOLERANCE}.")


def curve(folder: Path, name: str, steps: int, launcher: list[str]) -> np.ndarray:
    """Objective after every step of a run by the processes that ``launcher`` starts."""
    command = [
        sys.executable,
        *launcher,
        "-m",
        "training.train",
        "--output",
        str(folder / name),
        "--cache",
        str(folder / "cache"),
        "--steps",
        str(steps),
        *SETTINGS,
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "USE_LIBUV": "0",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "TissueElasticRegistration"))),
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stderr}")
    rows = read_history(folder / name)
    if [step for step, _ in rows] != list(range(1, steps + 1)):
        sys.exit(f"{name}: steps are missing in the history.")
    return np.array([objective for _, objective in rows])


if __name__ == "__main__":
    main()
