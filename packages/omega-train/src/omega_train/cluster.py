"""Where a run is: alone, under torchrun, or in a job of SLURM."""

import os
import signal
import subprocess

from omega_core.processes import launch_size


def stop_signals() -> tuple[signal.Signals, ...]:
    """What asks a run to save and stop; in a job of SLURM also what `#SBATCH --signal=USR1@…` sends before its end."""
    return (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR1,) if _job() else ()))


def requeue(number: int) -> str:
    """Put the job back into SLURM's queue if its time is up, and say so.

    SIGTERM is no reason: it comes from `scancel`, or from SLURM where that requeues the job itself.
    """
    job = _job()
    if not job or number != signal.SIGUSR1:
        return ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)  # noqa: S603, S607 (SLURM's own, wherever it is)
    except (OSError, subprocess.CalledProcessError) as problem:
        reason = getattr(problem, "stderr", "") or str(problem)
        return f" Its job {job} could not be put back into the queue: {reason.strip()}"
    return f" Its job {job} is back in the queue."


def local_processes() -> int | None:
    """How many processes of this run each machine has, if something else than Lightning starts them; else None."""
    if launch_size() == 1:
        return None
    variables = ("LOCAL_WORLD_SIZE",) if "WORLD_SIZE" in os.environ else ("SLURM_NTASKS_PER_NODE",)
    for variable in variables:
        if os.environ.get(variable, "").isdecimal():
            return int(os.environ[variable])
    if "WORLD_SIZE" in os.environ:
        return None
    nodes = os.environ.get("SLURM_STEP_NUM_NODES", "")
    return launch_size() // int(nodes) if nodes.isdecimal() else None


def _job() -> str:
    """The job's number in SLURM, or nothing; of an array's task its own."""
    return os.environ.get("SLURM_JOB_ID", "")
