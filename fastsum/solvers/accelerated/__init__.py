"""Methods with momentum: n + sqrt(n kappa) sample gradients a factor in place of n + kappa."""

from fastsum.solvers._method import Method
from fastsum.solvers.accelerated.acc_prox_sdca import AccProxSdca
from fastsum.solvers.accelerated.acc_prox_svrg import AccProxSvrg
from fastsum.solvers.accelerated.apcg import Apcg
from fastsum.solvers.accelerated.catalyst import Catalyst
from fastsum.solvers.accelerated.katyusha import Katyusha
from fastsum.solvers.accelerated.l_katyusha import LKatyusha
from fastsum.solvers.accelerated.mig import Mig
from fastsum.solvers.accelerated.point_saga import PointSaga
from fastsum.solvers.accelerated.qning import QNing
from fastsum.solvers.accelerated.rpdg import Rpdg

METHODS: tuple[type[Method], ...] = (
    AccProxSvrg,
    Catalyst,
    Katyusha,
    LKatyusha,
    Mig,
    PointSaga,
    QNing,
    AccProxSdca,
    Apcg,
    Rpdg,
)
