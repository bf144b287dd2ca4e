"""The headers whose mutants are tried: what to compile of each, and the tests that must fail.

A selection is a list of arguments of pytest; the selections of a header run one after another, the
quickest to fail first. All tests named here have an oracle that is not made of the header: twins
in NumPy, brute force, planted optima, scipy and scikit-learn.
"""

from dataclasses import dataclass

LEVEL_NAMES = "#define FASTSUM_LEVEL base\n#define FASTSUM_FAMILY base\n"
STORAGES = ("DenseRows", "CsrRows", "OnesRows")


@dataclass(frozen=True)
class Target:
    tests: list[list[str]]
    sources: tuple[str, ...] = ()  # of src_cpp, compiled as they are
    steps: tuple[str, ...] = ()  # functions of solvers/, made for each kind of rows

    def units(self, header):
        """Yield the text of each translation unit that is compiled of a mutant."""
        for source in self.sources:  # dispatch.cpp is of no level
            names = "" if source == "omp/dispatch.cpp" else LEVEL_NAMES
            yield f'{names}#include "{source}"\n'
        if not self.steps:
            return
        includes = sorted({step.split(":")[0] for step in self.steps} | {header})
        lines = [LEVEL_NAMES, *(f'#include "{name}"' for name in includes)]
        lines.append("namespace fastsum::base {")
        for function in [step.split(":")[1] for step in self.steps]:
            for storage in STORAGES:
                for wide in ("false", "true"):
                    # float64 alone: float32 takes the same lines
                    arguments = f"const {storage}<double>&, const StepArgs&, int64_t"
                    lines.append(f"template void {function}<{wide}>({arguments});")
        yield "\n".join([*lines, "}", ""])


LEVEL = ("omp/level.cpp",)
BOTH = ("omp/dispatch.cpp", "omp/level.cpp")  # scalars for Python have copies of their own
TWINS = ["tests/test_family.py", "tests/test_own_penalty.py", "tests/test_offset.py"]
CORE_TWINS = ["tests/test_solvers.py", "tests/test_row_groups.py", *TWINS]


def of_solver(*names, header=None, more=()):
    """Target of a solver's own header: its twins, then what ``more`` selects."""
    chosen = " or ".join(f"[{name}{end}" for name in names for end in "-]")
    files = CORE_TWINS if set(names) & {"saga", "svrg"} else TWINS
    stem = header or names[0].replace("-", "_")
    functions = [f"{stem}_steps"] if stem != "sgd" else ["sgd_steps", "sgd_linesearch_steps"]
    return Target(
        [[*files, "-k", f"(twin or steps) and ({chosen})"], *map(list, more)],
        steps=tuple(f"solvers/{stem}.hpp:{name}" for name in functions),
    )


def of(path, *words):
    """A selection of a file by parts of its tests' names, one of which must be there."""
    return [f"tests/{path}.py", *(["-k", " or ".join(words)] if words else [])]


WAITS = of("test_variance_reduced", "long_waits")

TARGETS = {
    "losses.hpp": Target(
        [
            of("test_losses"),
            of("test_certificate", "numpys", "derivatives"),
            of("test_solvers", "twin_with_every"),
        ],
        BOTH,
    ),
    "elementary.hpp": Target([of("test_losses"), of("test_certificate", "numpys")], BOTH),
    "prox.hpp": Target(
        [
            of("test_penalties"),
            of("test_own_penalty", "brute", "rounded", "certificate", "cancel", "outside_its"),
            of("test_certificate", "numpys"),
            of("test_solvers", "twin_with_every"),
            of("test_row_groups", "prox", "twin"),
        ],
        BOTH,
    ),
    "omp/passes.hpp": Target(
        [
            of("test_certificate", "numpys", "float64", "derivatives", "threads"),
            of("test_rows", "passes_equal", "float32_is_kept"),
            of("test_offset", "certificate"),
            of("test_own_penalty", "certificate", "cancel"),
        ],
        LEVEL,
    ),
    "descent.hpp": Target(
        [
            of("test_own_penalty", "gap_of_a_quadratic"),
            of("test_working_set", "descent", "optimum"),
            of("test_coupled_set", "descent", "optimum"),
            of("test_own_penalty", "scipy[auto"),
        ],
        LEVEL,
    ),
    "row_descent.hpp": Target([of("test_row_groups", "block_descent")], LEVEL),
    "pivots.hpp": Target([of("test_working_set", "pivots")], LEVEL),
    "solvers/svrg_epoch.hpp": Target([of("test_epochs", "twin")], LEVEL),
    "solvers/dual_epoch.hpp": Target(
        [of("test_dual_epochs", "twin", "maximises", "row_visited", "there")], LEVEL
    ),
    "solvers/dual_step.hpp": Target(
        [[*TWINS, "-k", "twin and ([sdca- or [apcg-)"]],
        steps=("solvers/sdca.hpp:sdca_steps", "solvers/apcg.hpp:apcg_steps"),
    ),
    "solvers/implicit.hpp": Target(
        [
            [*TWINS, "-k", "twin and ([sdca- or [point-saga-)"],
            of("test_dual", "ascends", "one_row"),
            of("test_accelerated", "coupled"),
        ],
        steps=("solvers/sdca.hpp:sdca_steps", "solvers/point_saga.hpp:point_saga_steps"),
    ),
    "solvers/common.hpp": Target(
        [[*CORE_TWINS, "-k", "twin and ([saga- or [svrg- or [sdca- or [sag-) or of_the_twin"]],
        steps=(
            "solvers/saga.hpp:saga_steps",
            "solvers/svrg.hpp:svrg_steps",
            "solvers/sdca.hpp:sdca_steps",
            "solvers/sag.hpp:sag_steps",
        ),
    ),
    "solvers/lazy.hpp": Target(
        [[*TWINS, "-k", "twin and ([sag- or [sarah- or [point-saga-)"], WAITS],
        steps=(
            "solvers/sag.hpp:sag_steps",
            "solvers/sarah.hpp:sarah_steps",
            "solvers/point_saga.hpp:point_saga_steps",
        ),
    ),
    "solvers/saga.hpp": of_solver("saga"),
    "solvers/svrg.hpp": of_solver("svrg", "l-svrg", more=[of("test_solvers", "without_stored")]),
    "solvers/sag.hpp": of_solver("sag", more=[WAITS]),
    "solvers/sarah.hpp": of_solver("sarah", more=[WAITS]),
    "solvers/asaga.hpp": of_solver("asaga", more=[of("test_variance_reduced", "asaga")]),
    "solvers/miso.hpp": of_solver("miso", more=[of("test_variance_reduced", "miso_makes")]),
    "solvers/sdca.hpp": of_solver("sdca"),
    "solvers/apcg.hpp": of_solver("apcg"),
    "solvers/rpdg.hpp": of_solver("rpdg"),
    "solvers/katyusha.hpp": of_solver(
        "katyusha",
        "mig",
        "l-katyusha",
        more=[of("test_accelerated", "long_waits", "without_their_scalars", "late_epochs")],
    ),
    "solvers/point_saga.hpp": of_solver(
        "point-saga", more=[of("test_accelerated", "long_waits", "coupled")]
    ),
    "solvers/acc_prox_svrg.hpp": of_solver(
        "acc-prox-svrg", more=[of("test_accelerated", "without_their_scalars")]
    ),
    "solvers/acc_sgd.hpp": of_solver("acc-sgd", more=[of("test_stochastic", "options_are")]),
    "solvers/sgd.hpp": of_solver(
        "sgd", "sgd-linesearch", header="sgd", more=[of("test_stochastic", "options_are")]
    ),
}
