"""Per-sample methods that converge linearly: their directions lose their variance."""

from fastsum.solvers._method import Method
from fastsum.solvers.variance_reduced.asaga import Asaga
from fastsum.solvers.variance_reduced.l_svrg import LSvrg
from fastsum.solvers.variance_reduced.miso import Miso
from fastsum.solvers.variance_reduced.sag import Sag
from fastsum.solvers.variance_reduced.saga import Saga
from fastsum.solvers.variance_reduced.sarah import Sarah
from fastsum.solvers.variance_reduced.svrg import Svrg
from fastsum.solvers.variance_reduced.svrg_bb import SvrgBB

METHODS: tuple[type[Method], ...] = (
    Saga,
    Svrg,
    Sag,
    LSvrg,
    SvrgBB,
    Sarah,
    Miso,
    Asaga,
)
