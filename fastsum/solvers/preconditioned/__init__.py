"""Per-sample methods in the metric of a sketched Hessian."""

from fastsum.solvers._method import Method
from fastsum.solvers.preconditioned.sketchy_katyusha import SketchyKatyusha
from fastsum.solvers.preconditioned.sketchy_saga import SketchySaga
from fastsum.solvers.preconditioned.sketchy_svrg import SketchySvrg

METHODS: tuple[type[Method], ...] = (
    SketchySvrg,
    SketchySaga,
    SketchyKatyusha,
)
