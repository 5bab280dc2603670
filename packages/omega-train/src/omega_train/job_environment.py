"""The environment of a run: one process, torchrun, or a SLURM job."""

import os
import signal
import subprocess

from omega_core.processes import launch_size


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals after which a run saves and stops; in a SLURM job also SIGUSR1, from `#SBATCH --signal=USR1@…`."""
    return (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR1,) if _job() else ()))


def requeue(number: int) -> str:
    """Requeue the SLURM job if its time is up, and return a sentence about it for the message; otherwise return "".

    number: the signal that was received. The time is up only after SIGUSR1: SIGTERM comes from `scancel`, or from SLURM
        when it requeues the job itself.
    """
    job = _job()
    if not job or number != signal.SIGUSR1:
        return ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True)  # noqa: S603, S607 (from the PATH)
    except (OSError, subprocess.CalledProcessError) as problem:
        reason = getattr(problem, "stderr", "") or str(problem)
        return f" Its job {job} could not be requeued: {reason.strip()}"
    return f" Its job {job} was requeued."


def local_processes() -> int | None:
    """The number of processes of this run on each machine if torchrun or srun started them; otherwise None."""
    if launch_size() == 1:
        return None
    by_torchrun = "WORLD_SIZE" in os.environ
    count = os.environ.get("LOCAL_WORLD_SIZE" if by_torchrun else "SLURM_NTASKS_PER_NODE", "")
    if count.isdecimal():
        return int(count)
    nodes = "" if by_torchrun else os.environ.get("SLURM_STEP_NUM_NODES", "")
    return launch_size() // int(nodes) if nodes.isdecimal() else None


def is_started_by_srun() -> bool:
    """Whether srun started this process and others, and not torchrun in a SLURM job."""
    return launch_size() > 1 and "WORLD_SIZE" not in os.environ


def _job() -> str:
    """The number of the SLURM job, or of the task of an array; "" outside of SLURM."""
    return os.environ.get("SLURM_JOB_ID", "")
