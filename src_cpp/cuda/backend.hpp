// The passes of the CUDA backend over dense rows: what kernels.hpp asks of the CPU, for arrays that
// lie on a device. Plain C++: neither CUDA's headers nor Python's are needed to call it.
//
// "device" pointers are memory of the device, "host" ones that of the process. All arrays but X are
// float64. Sums depend on the shapes and the device's number of processors alone: the same bits each
// time. What fails throws `Error`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "../types.hpp"

namespace fastsum::device {

enum class Fault { kMemory, kLost, kOther };

struct Error : std::runtime_error {
  Fault fault;
  Error(Fault fault, const std::string& what) : std::runtime_error(what), fault(fault) {}
};

// How X is stored; arithmetic is in float32 or float64.
enum Type : int32_t { kF32 = 0, kF64 = 1, kF16 = 2, kBF16 = 3 };

// Dense rows of X, row-major. On the host they are streamed through the device block by block.
struct Matrix {
  const void* values;
  int32_t type;
  int64_t n_rows, n_cols, stride;  // stride in values
  bool on_host;
};

// Empty if the device can be used, else the reason.
std::string why_not();
std::string device_name();
// Bytes of device memory: free, in all.
void memory(int64_t* free, int64_t* total);

void* allocate(size_t n_bytes);  // 0 everywhere
void release(void* device) noexcept;
// Pinned memory of the host.
void* allocate_pinned(size_t n_bytes);
void release_pinned(void* host) noexcept;
void copy_in(void* device, const void* host, size_t n_bytes);
void copy_out(void* host, const void* device, size_t n_bytes);
void synchronize();

// The first row that holds NaN or infinity, -1 if none does.
int64_t first_not_finite(const Matrix& X);

// z <- X W + b for W (d + 1, K) on the host, z (n, K) on the device.
void margins(const Matrix& X, int64_t K, const double* W, double* z);

// out <- X' (s r) of r (n, K) and s (n,) or null, both on the device; out (d, K) on the host. With
// `squares` the values of X are squared.
void transposed(const Matrix& X, int64_t K, const double* r, const double* s, bool squares,
                double* out);

// value (B,) <- sum_i s_i l_i and out (d + 1, K) <- sum_i s_i l_i' (x_i, 1) at X W + b: one read of X,
// where a tile of rows, W and the sums fit the memory of one processor; two reads elsewhere.
void gradient(const Matrix& X, const Columns& columns, const double* W, double* value, double* out);

// out (d + 1, K) <- A' D A V for A = [X, 1], V (d + 1, K) on the host, and c (n, K) on the device as
// kernels.hpp has it. One read of X, as above.
void hessian_product(const Matrix& X, int64_t n_problems, int64_t n_outputs, const double* c,
                     const double* V, double* out);

// H (d + 1, d + 1) on the host <- A' diag(c) A; c_i is c[i * stride] on the device.
void gram(const Matrix& X, const double* c, int64_t stride, double* H);

// The passes over margins z (n, K) on the device; pointers of `columns` are the device's, b (K,),
// scale (B,) and sums are the host's.
// sums (B + K + B C C,): value, gradient and curvature in b; u <- l' unless null.
void loss_terms(const Columns& columns, int64_t n, const double* z, const double* b, double* u,
                bool with_curvature, double* sums);
// sums (B,): the Fenchel-Young terms at the dual point scale * u.
void loss_gap(const Columns& columns, int64_t n, const double* z, const double* b, const double* u,
              const double* scale, double* sums);
// c (n, K) <- the weighted curvature that hessian_product takes, times `factor`.
void curvature(const Columns& columns, int64_t n, const double* z, const double* b, double factor,
               double* c);
// out (n, K) <- a_k x_ik + b_k y_ik, a and b (K,) on the host. sums (K,) on the host, unless null:
// sum_i s_i x_ik y_ik.
void combine(int64_t n, int64_t K, const double* a, const double* x, const double* b,
             const double* y, double* out);
void inner(int64_t n, int64_t K, const double* x, const double* y, const double* s, double* sums);

}  // namespace fastsum::device
