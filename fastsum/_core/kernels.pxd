# Every C++ declaration that Cython sees: types.hpp and kernels.hpp.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t


cdef extern from "types.hpp" namespace "fastsum" nogil:
    ctypedef int32_t Status "fastsum::Status"
    Status kOk
    int32_t kFloat32, kFloat64
    int32_t kDense, kCsr, kOnes
    int32_t kShared, kOneVsRest, kMulti

    cdef struct RowBlock:
        int32_t storage
        int32_t dtype
        int64_t n_rows
        int64_t n_cols
        int64_t stride
        const void* values
        const int32_t* indices
        const int64_t* indptr

    cdef struct SplitRows:
        int64_t n_rows
        int64_t n_cols
        int64_t n_hot
        int64_t n_parts
        const int64_t* hot_indptr
        const uint16_t* hot
        const int64_t* rare_indptr
        const int32_t* rare_row
        const int32_t* rare_col
        const int64_t* rare_bounds

    cdef struct Targets:
        const double* y
        int64_t stride
        int32_t kind

    cdef struct Columns:
        int64_t n_problems
        int64_t n_outputs
        Targets targets
        const double* sample_weight
        int64_t weight_stride
        int32_t loss
        double loss_param
        const double* offset

    cdef struct StepArgs:
        Columns columns
        const int64_t* order
        int64_t n_steps
        double total_weight
        const double* q
        double q_uniform
        double intercept_curvature
        const void* density
        const void* scale
        const void* step
        const void* l1
        const void* l2
        const void* own
        const void* ridge
        const void* row_l1
        const void* row_l2
        void* vectors[8]
        void* tables[4]
        double* work
        const double* parameters[8]
        const double* sequences[4]
        const double* per_row[2]
        int64_t* visits
        int64_t time
        int32_t n_threads

    cdef struct DescentArgs:
        int64_t p
        double l1, l2
        const double* own
        const double* diagonal
        double* x
        double* q
        double size
        double target
        double share
        int64_t most
        int32_t* active
        double gap
        int64_t sweeps

    cdef struct RowDescentArgs:
        int64_t p, C
        double l1, l2
        double* x
        double* q
        double target
        int64_t most
        double* work
        int64_t sweeps

    cdef struct CoupledArgs:
        int64_t n
        const int32_t* column
        const int32_t* output
        const double* c
        const double* inverse
        double* z
        double* m

    cdef struct EpochArgs:
        Columns columns
        const int64_t* order
        int64_t n_steps
        const double* correction
        const void* snapshot_derivatives
        void* packed
        void* base
        const void* damping
        int64_t n_merges
        int32_t n_threads

    cdef struct DualEpochArgs:
        Columns columns
        const int64_t* order
        int64_t n_steps
        const double* q
        double per_l2
        double per_rho
        double* u
        void* weights
        double gap


cdef extern from "kernels.hpp" namespace "fastsum" nogil:
    cdef struct Kernels:
        const char* level
        Status (*margins)(const RowBlock*, int32_t, const void*, int64_t, double*,
                          int32_t) noexcept nogil
        Status (*add_transposed)(const RowBlock*, const double*, int64_t, double*, double*,
                                 int32_t) noexcept nogil
        Status (*row_norms)(const RowBlock*, const double*, double*, int32_t) noexcept nogil
        Status (*column_mass)(const RowBlock*, const double*, double*) noexcept nogil
        Status (*loss_terms)(const Columns*, int64_t, const double*, const double*, double*,
                             int32_t, double*, double*, int32_t) noexcept nogil
        Status (*loss_curvature)(const Columns*, int64_t, const double*, const double*, double*,
                                 double*, int32_t) noexcept nogil
        Status (*loss_gap)(const Columns*, int64_t, const double*, const double*, const double*,
                           const double*, double*, double*, int32_t) noexcept nogil
        Status (*hessian_product)(const RowBlock*, int32_t, const void*, int64_t, int64_t,
                                  const double*, void*, void*, int32_t) noexcept nogil
        Status (*add_squares)(const RowBlock*, const double*, int64_t, double*, double*,
                              int32_t) noexcept nogil
        Status (*column_counts)(const RowBlock*, int32_t*, int32_t) noexcept nogil
        Status (*split_sizes)(const RowBlock*, const SplitRows*, int64_t*, int64_t*,
                              int32_t) noexcept nogil
        Status (*split_fill)(const RowBlock*, const SplitRows*, uint16_t*, int32_t*, int32_t*,
                             int32_t*, int32_t) noexcept nogil
        Status (*split_product)(const SplitRows*, const double*, const double*, double*, double*,
                                double*, int32_t) noexcept nogil
        Status (*gather_rows)(const RowBlock*, const int64_t*, int64_t, const int32_t*,
                              const int64_t*, int32_t*, void*, int32_t, int32_t) noexcept nogil
        Status (*penalty_terms)(int32_t, int64_t, int64_t, const void*, const double*,
                                const double*, const double*, const double*, const double*,
                                double*, double*, double*) noexcept nogil
        Status (*count_selected)(const RowBlock*, const int32_t*, int64_t*, int32_t) noexcept nogil
        Status (*gather_columns)(const RowBlock*, const int32_t*, const int64_t*, int32_t*, void*,
                                 int32_t) noexcept nogil
        Status (*add_gram)(const RowBlock*, const int32_t*, const double*, int64_t, int64_t,
                           double*, int32_t*, double*, int32_t) noexcept nogil
        Status (*mirror)(int64_t, int64_t, double*, int32_t) noexcept nogil
        Status (*gram_descent)(const double*, DescentArgs*) noexcept nogil
        Status (*descent_gap)(DescentArgs*) noexcept nogil
        Status (*gram_pivots)(const double*, DescentArgs*, double*, int64_t) noexcept nogil
        Status (*row_descent)(const double*, RowDescentArgs*) noexcept nogil
        Status (*column_descent)(const RowBlock*, const double*, const double*, const double*,
                                 double*, DescentArgs*) noexcept nogil
        Status (*coupled_descent)(const RowBlock*, const double*, const CoupledArgs*,
                                  DescentArgs*) noexcept nogil
        Status (*svrg_epoch)(const RowBlock*, const EpochArgs*) noexcept nogil
        Status (*dual_epoch)(const RowBlock*, DualEpochArgs*) noexcept nogil
        Status (*steps)(int32_t, const RowBlock*, const StepArgs*) noexcept nogil

    const Kernels* kernels()
    bint select_level(const char*)
    const char* built_level(int32_t)
    bint level_supported(const char*)

    int32_t num_losses()
    const char* loss_name(int32_t)
    bint loss_coupled(int32_t)
    double loss_curvature(int32_t, double)
    int32_t num_solvers()
    const char* solver_name(int32_t)
    void loss_point(int32_t, double, int32_t, const double*, double, int64_t, double*)
    double penalty_point(int32_t, double, double, double, const double*, double)

    cdef struct CsrFault:
        int32_t kind
        int64_t where
    CsrFault find_csr_fault(const int64_t*, int64_t, const void*, int32_t, int64_t, int64_t)
    bint rows_increase(const int64_t*, int64_t, const void*, int32_t)
    bint columns_differ(const int64_t*, int64_t, const void*, int32_t, uint32_t*)

    int32_t max_threads()
    bint has_openmp()
