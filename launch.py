"""Trains, evaluates or exports by config.

    python launch.py --config=configs/demo.py --workdir=runs/demo
    python launch.py --config=configs/demo.py --workdir=runs/demo --mode=evaluate [--best]

Fields of the config can be set on the command line: --config.optimizer.steps=4000. The same command
resumes a run that was interrupted.

Within srun and on TPU machines the processes of a run find each other. On other machines start one
process per machine, with a --workdir that all of them can access:

    python launch.py ... --coordinator=HOST:PORT --processes=2 --process_id=0    # and 1
"""

from egmt_jax.training.main import run

if __name__ == "__main__":
    run()
