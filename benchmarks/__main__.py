"""``python -m benchmarks peers | own | kernels | grids | per-pass | per-gradient | fixed-cost |
theory | family | instructions | side-by-side | list``."""

import argparse
import os
import signal
import sys

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is: objectives, data sets, solvers")
    text = "instructions of the hot kernels, this tree against another commit"
    command = commands.add_parser("instructions", help=text, description=text)
    command.add_argument("--base", default="HEAD", help="the other commit (default HEAD)")
    command.add_argument("--only", nargs="+", help="parts of the names of kernels")
    command.add_argument("--limit", type=float, default=1.05, help="the ratio that is a failure")
    helps = {
        "per-pass": "seconds per pass of SAGA, ours and scikit-learn's",
        "per-gradient": "seconds per sample gradient of every stochastic method, in SAGA's",
        "fixed-cost": "seconds of a tiny fit, ours and scikit-learn's lbfgs",
        "theory": "sample gradients against the condition number, beside the stated rates",
        "family": "the accelerated prox methods, saga and auto: gap against passes and seconds",
        "grids": "cross-validated grids: ours, separate fits of ours, scikit-learn",
        "side-by-side": "a pass over many problems, in passes over one",
        "kernels": "ns per stored value against the roofline",
        "own": "weights, intercept, float32, a second thread, memory: ours against ours",
        "peers": "least seconds to a suboptimality, ours and every peer; then own and kernels",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--repeats", type=int, help="how often each side is timed")
        command.add_argument("--threads", type=int, default=1, help="threads of every solver")
        command.add_argument("--small", action="store_true", help="tiny sizes: does it run?")
        command.add_argument("--only", nargs="+", help="patterns of rows, parts of names")
        command.add_argument("--note", default="", help="a remark for the report")
        command.add_argument("--out", help="folder of the reports; default: benchmarks/results")
        if name in ("peers", "own", "kernels", "grids"):
            command.set_defaults(threads=2)
        if name == "peers":
            command.add_argument("--limit", type=float, default=60.0, help="seconds of one fit")
            command.add_argument("--solver", nargs="+", help="parts of the solvers' names")
            ours = "time ours alone, against the stored times of the peers"
            command.add_argument("--ours-only", action="store_true", help=ours)
            everyone = "measure peers again that are stored as far behind"
            command.add_argument("--everyone", action="store_true", help=everyone)
            resume = "leave out the rows that are stored"
            command.add_argument("--resume", action="store_true", help=resume)
            command.add_argument("--dataset", help='e.g. "click_log[n_samples=20000]"')
            command.add_argument("--objective", help='e.g. "logistic_l2[reg=1.0]"')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    for variable in THREAD_VARIABLES:  # read when the libraries load, so before any import of them
        os.environ[variable] = str(getattr(args, "threads", 1))
    if args.command == "instructions":  # of builds of its own: no fastsum is needed
        from benchmarks.experiments import instructions

        return instructions.main(args)
    from benchmarks import registry
    from benchmarks.experiments import (
        family,
        fixed_cost,
        grids,
        kernels,
        own,
        peers,
        per_gradient,
        per_pass,
        side_by_side,
        theory,
    )

    if args.command == "list":
        registry.show()
        return 0
    experiments = {
        "per-pass": per_pass,
        "per-gradient": per_gradient,
        "fixed-cost": fixed_cost,
        "grids": grids,
        "theory": theory,
        "family": family,
        "side-by-side": side_by_side,
        "kernels": kernels,
        "own": own,
        "peers": peers,
    }
    experiments[args.command].main(args)
    return 0


if __name__ == "__main__":
    # an ordinary end, in which the processes of solvers are closed and do not keep the lock
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
