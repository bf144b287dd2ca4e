// The passes of the CUDA backend, compiled for the host (src_cpp/cuda/backend_host.cpp), against the
// CPU kernels: all losses, one output and several, tiles that fit and that do not, rows at once and
// block by block.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "cuda/backend.hpp"
#include "kernels.hpp"

using namespace fastsum;

namespace fastsum::device {
void emulate(int64_t processors, int64_t shared, int64_t total, int64_t sent);
}

namespace {

int failures = 0;
std::string context;

// Numbers in [-1, 1], multiples of 1/256.
struct Random {
  uint64_t state = 12345;
  double operator()() {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int64_t(state >> 40) % 513 - 256) / 256.0;
  }
};

std::vector<double> draw(Random& random, int64_t n) {
  std::vector<double> out(n);
  for (double& x : out) x = random();
  return out;
}

void same(const std::vector<double>& got, const std::vector<double>& want, const char* what) {
  for (size_t e = 0; e < want.size(); ++e) {
    if (std::fabs(got[e] - want[e]) <= 1e-11 * (1 + std::fabs(want[e]))) continue;
    ++failures;
    std::printf("FAILED %s: %s, entry %zu: %.17g, expected %.17g\n", context.c_str(), what, e,
                got[e], want[e]);
    return;
  }
}

void check(int32_t loss, int64_t n, int64_t d, int64_t C, bool on_host) {
  Random random;
  const int64_t B = loss_coupled(loss) ? 1 : C, outputs = loss_coupled(loss) ? C : 1, K = C;
  const std::vector<double> x = draw(random, n * d), W = draw(random, (d + 1) * K);
  std::vector<double> y = draw(random, n * B), s = draw(random, n), o = draw(random, n * K);
  for (double& weight : s) weight = std::fabs(weight);
  const std::string name = loss_name(loss);
  for (double& label : y) {
    label = name == "poisson" ? std::floor(3 * std::fabs(label)) : label > 0 ? 1.0 : -1.0;
    if (loss_coupled(loss)) label = label > 0 ? double(C - 1) : 0.0;
  }
  const Targets targets{y.data(), B, kMulti};
  const Columns columns{B, outputs, targets, s.data(), 1, loss, 0.5, o.data()};
  const RowBlock block{kDense, kFloat64, n, d, d, x.data(), nullptr, nullptr};
  const device::Matrix X{x.data(), device::kF64, n, d, d, on_host};
  const Kernels& cpu = *kernels();
  const int64_t width = B + K + K * outputs;
  std::vector<double> work(2 * K + outputs * outputs + (d + 2) * K), zero(K);

  std::vector<double> z(n * K), z_(n * K), u(n * K), u_(n * K);
  cpu.margins(&block, kFloat64, W.data(), K, z.data(), 1);
  device::margins(X, K, W.data(), z_.data());
  same(z_, z, "margins");

  const std::vector<double> b = draw(random, K);
  std::vector<double> sums(width), sums_(width);
  cpu.loss_terms(&columns, n, z.data(), b.data(), u.data(), 1, sums.data(), work.data(), 1);
  device::loss_terms(columns, n, z.data(), b.data(), u_.data(), true, sums_.data());
  same(u_, u, "derivatives");
  same(sums_, sums, "loss terms");

  std::vector<double> r(n * K), g(d * K), g_(d * K);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < K; ++k) r[i * K + k] = s[i] * u[i * K + k];
  cpu.add_transposed(&block, r.data(), K, g.data(), nullptr, 1);
  device::transposed(X, K, u.data(), s.data(), false, g_.data());
  same(g_, g, "transposed");

  std::vector<double> value(B), gradient((d + 1) * K), all(width), at(n * K);
  cpu.loss_terms(&columns, n, z.data(), zero.data(), at.data(), 0, all.data(), work.data(), 1);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < K; ++k) at[i * K + k] *= s[i];
  std::vector<double> want((d + 1) * K);
  cpu.add_transposed(&block, at.data(), K, want.data(), nullptr, 1);
  for (int64_t k = 0; k < K; ++k) want[d * K + k] = all[B + k];
  device::gradient(X, columns, W.data(), value.data(), gradient.data());
  same(value, std::vector<double>(all.begin(), all.begin() + B), "value in one read");
  same(gradient, want, "gradient in one read");

  const std::vector<double> scale(B, 0.5);
  std::vector<double> gap(B), gap_(B);
  cpu.loss_gap(&columns, n, z.data(), b.data(), u.data(), scale.data(), gap.data(), work.data(), 1);
  device::loss_gap(columns, n, z.data(), b.data(), u.data(), scale.data(), gap_.data());
  same(gap_, gap, "gap");

  std::vector<double> c = draw(random, n * K), H((d + 1) * K), H_((d + 1) * K);
  for (double& curvature : c) curvature = std::fabs(curvature);
  cpu.hessian_product(&block, kFloat64, W.data(), B, outputs, c.data(), H.data(), work.data(), 1);
  device::hessian_product(X, B, outputs, c.data(), W.data(), H_.data());
  same(H_, H, "Hessian product");
}

}  // namespace

int main() {
  for (const int64_t shared : {227 << 10, 12 << 10})
    for (const bool on_host : {false, true}) {
      device::emulate(3, shared, int64_t(1) << 30, 3000);
      for (int32_t loss = 0; loss < num_losses(); ++loss)
        for (const int64_t C : {1, 3, 6}) {
          if (loss_coupled(loss) && C == 1) continue;
          context = std::string(loss_name(loss)) + ", C = " + std::to_string(C) +
                    ", shared = " + std::to_string(shared) + (on_host ? ", streamed" : "");
          check(loss, 303, 19, C, on_host);
          check(loss, 60, 310, C, on_host);
        }
    }
  if (failures == 0) std::printf("all passes agree\n");
  return failures > 0;
}
