// The hot kernels of src_cpp/kernels.hpp on fixed inputs, one a run, for `python -m benchmarks
// instructions`: without arguments the names, else the kernel of that name inside measured().
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels.hpp"

using namespace fastsum;

// In the place of omp/family.cpp, whose solvers are not counted here.
namespace fastsum::base {
Status family_steps(int32_t, const RowBlock*, const StepArgs*) { return kUnsupported; }
}  // namespace fastsum::base

// What is counted: callgrind collects inside this function alone.
extern "C" [[gnu::noinline]] void measured(const std::function<void()>& kernel) { kernel(); }

namespace {

constexpr int64_t kRows = 1000, kSparseCols = 2000, kPerRow = 30, kDenseCols = 60;

struct Random {
  uint64_t state = 12345;
  uint64_t bits() { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; }
  double operator()() { return double(int64_t(bits() >> 40) % 513 - 256) / 256.0; }
  int64_t below(int64_t n) { return int64_t(bits() >> 33) % n; }
};

std::vector<double> draw(int64_t n) {
  Random random;
  std::vector<double> out(n);
  for (double& x : out) x = random();
  return out;
}

template <class T>
std::vector<T> cast(const std::vector<double>& x) {
  return std::vector<T>(x.begin(), x.end());
}

// Rows of T in one storage; columns of sparse rows ascend, their frequencies fall.
template <class T>
struct Matrix {
  std::vector<T> values;
  std::vector<int32_t> indices;
  std::vector<int64_t> indptr{0};
  RowBlock block{};

  explicit Matrix(int32_t storage, int64_t n = kRows, int64_t d = kSparseCols) {
    Random random;
    if (storage == kDense) d = kDenseCols;
    for (int64_t i = 0; i < n; ++i) {
      std::vector<bool> held(d, storage == kDense);
      for (int64_t p = 0; p < kPerRow && storage != kDense; ++p) {
        const double u = std::fabs(random());
        held[int64_t(double(d - 1) * u * u)] = true;
      }
      for (int64_t j = 0; j < d; ++j) {
        if (!held[j]) continue;
        values.push_back(T(random()));
        indices.push_back(int32_t(j));
      }
      indptr.push_back(int64_t(indices.size()));
    }
    block.storage = storage;
    block.dtype = sizeof(T) == 8 ? kFloat64 : kFloat32;
    block.n_rows = n;
    block.n_cols = d;
    block.stride = d;
    block.values = storage == kOnes ? nullptr : values.data();
    block.indices = storage == kDense ? nullptr : indices.data();
    block.indptr = storage == kDense ? nullptr : indptr.data();
  }
};

int32_t loss_named(const char* name) {
  for (int32_t id = 0; id < num_losses(); ++id)
    if (!std::strcmp(loss_name(id), name)) return id;
  return -1;
}

int32_t solver_named(const char* name) {
  for (int32_t id = 0; id < num_solvers(); ++id)
    if (!std::strcmp(solver_name(id), name)) return id;
  return -1;
}

struct Labels {
  std::vector<double> y;
  Columns columns{};
  Labels(const char* loss, int64_t B, int64_t C) {
    for (int64_t i = 0; i < kRows; ++i) y.push_back(B * C > 1 ? double(i % 3) : i % 3 ? 1.0 : -1.0);
    columns.n_problems = B;
    columns.n_outputs = C;
    columns.targets = {y.data(), 1, B > 1 ? kOneVsRest : kShared};
    columns.loss = loss_named(loss);
  }
};

using Kernel = std::function<void(const Kernels&)>;
std::map<std::string, Kernel> kernels_by_name;

const char* const kStorageNames[] = {"dense", "csr", "ones"};

template <class T>
void add_passes(int32_t storage, int64_t K) {
  const std::string which = std::string(" ") + kStorageNames[storage] +
                            (sizeof(T) == 8 ? " float64" : " float32") +
                            (K > 1 ? " K=" + std::to_string(K) : "");
  kernels_by_name["margins" + which] = [=](const Kernels& k) {
    Matrix<T> m(storage);
    const auto W = cast<T>(draw((m.block.n_cols + 1) * K));
    std::vector<double> z(kRows * K);
    measured([&] { k.margins(&m.block, m.block.dtype, W.data(), K, z.data(), 1); });
  };
  kernels_by_name["transposed product" + which] = [=](const Kernels& k) {
    Matrix<T> m(storage);
    const auto r = draw(kRows * K);
    std::vector<double> out(m.block.n_cols * K);
    measured([&] { k.add_transposed(&m.block, r.data(), K, out.data(), nullptr, 1); });
  };
  kernels_by_name["Hessian product" + which] = [=](const Kernels& k) {
    Matrix<T> m(storage);
    const auto V = draw((m.block.n_cols + 1) * K), c = draw(kRows * K);
    std::vector<double> out(V.size()), work(V.size() + K);
    measured([&] {
      k.hessian_product(&m.block, kFloat64, V.data(), K, 1, c.data(), out.data(), work.data(), 1);
    });
  };
}

void add_losses(const char* loss, int64_t C) {
  const std::string which = std::string(" ") + loss;
  kernels_by_name["loss terms" + which] = [=](const Kernels& k) {
    Labels labels(loss, 1, C);
    const auto z = draw(kRows * C), b = draw(C);
    std::vector<double> u(kRows * C), sums(1 + C + C * C), work(2 * C + C * C);
    measured([&] {
      k.loss_terms(&labels.columns, kRows, z.data(), b.data(), u.data(), 1, sums.data(),
                   work.data(), 1);
    });
  };
  kernels_by_name["loss gap" + which] = [=](const Kernels& k) {
    Labels labels(loss, 1, C);
    const auto z = draw(kRows * C), b = draw(C);
    std::vector<double> u(kRows * C), sums(1 + C + C * C), work(2 * C + C * C), gap(1);
    const double scale = 0.75;
    k.loss_terms(&labels.columns, kRows, z.data(), b.data(), u.data(), 1, sums.data(), work.data(),
                 1);
    measured([&] {
      k.loss_gap(&labels.columns, kRows, z.data(), b.data(), u.data(), &scale, gap.data(),
                 work.data(), 1);
    });
  };
}

// An epoch of one of the per-sample solvers with B problems.
template <class T>
void add_steps(const char* solver, int32_t storage, int64_t B) {
  const std::string name = std::string(solver) + " steps " + kStorageNames[storage] +
                           (sizeof(T) == 8 ? " float64" : " float32") +
                           (B > 1 ? " K=" + std::to_string(B) : "");
  kernels_by_name[name] = [=](const Kernels& k) {
    Matrix<T> m(storage);
    Labels labels("logistic", B, 1);
    const int64_t size = (m.block.n_cols + 1) * B;
    std::vector<int64_t> order;
    for (int64_t t = 0; t < kRows; ++t) order.push_back(t * 7 % kRows);
    std::vector<T> W(size), G(size), table(kRows * B), more(size);
    const std::vector<T> step(B, T(0.01)), l1(B, T(1e-4)), l2(B, T(1e-3));
    std::vector<double> work(16 * B), norms(kRows, double(kPerRow)), parameter(B, 0.01);
    StepArgs s{};
    s.columns = labels.columns;
    s.order = order.data();
    s.n_steps = kRows;
    s.total_weight = double(kRows);
    s.q_uniform = double(kRows);
    s.intercept_curvature = 1;
    s.step = step.data();
    s.l1 = l1.data();
    s.l2 = l2.data();
    s.vectors[0] = W.data();
    s.vectors[1] = G.data();
    s.vectors[2] = more.data();
    s.tables[0] = table.data();
    for (const double*& x : s.parameters) x = parameter.data();
    s.per_row[0] = norms.data();
    s.work = work.data();
    s.n_threads = 1;
    measured([&] { k.steps(solver_named(solver), &m.block, &s); });
  };
}

void add_epochs() {
  kernels_by_name["preconditioned SVRG epoch ones float32"] = [](const Kernels& k) {
    Matrix<float> m(kOnes);
    Labels labels("logistic", 1, 1);
    std::vector<int64_t> order;
    for (int64_t t = 0; t < kRows; ++t) order.push_back(t * 7 % kRows);
    const std::vector<double> correction(kRows, 1.0 / kRows);
    const std::vector<float> snapshot(kRows, 0.25f);
    std::vector<float> packed(4 * (m.block.n_cols + 1), 0.1f);
    EpochArgs a{};
    a.columns = labels.columns;
    a.order = order.data();
    a.n_steps = kRows;
    a.correction = correction.data();
    a.snapshot_derivatives = snapshot.data();
    a.packed = packed.data();
    a.n_merges = 1;
    a.n_threads = 1;
    measured([&] { k.svrg_epoch(&m.block, &a); });
  };
  kernels_by_name["dual ascent epoch csr float64"] = [](const Kernels& k) {
    Matrix<double> m(kCsr);
    Labels labels("logistic", 1, 1);
    std::vector<int64_t> order;
    for (int64_t t = 0; t < kRows; ++t) order.push_back(t * 7 % kRows);
    const std::vector<double> q(kRows, 3.0);
    std::vector<double> u(kRows), w(m.block.n_cols + 1);
    DualEpochArgs a{};
    a.columns = labels.columns;
    a.order = order.data();
    a.n_steps = kRows;
    a.q = q.data();
    a.per_l2 = 1.0;
    a.per_rho = 0.1;
    a.u = u.data();
    a.weights = w.data();
    measured([&] { k.dual_epoch(&m.block, &a); });
  };
}

// A positive definite H (p, p): 0.5^|i - j| off a diagonal of 2.
std::vector<double> hessian(int64_t p) {
  std::vector<double> H(p * p);
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < p; ++j) H[i * p + j] = (i == j) + std::pow(0.5, std::abs(i - j));
  return H;
}

void add_working_sets() {
  kernels_by_name["Gram descent"] = [](const Kernels& k) {
    const int64_t p = 200;
    const auto H = hessian(p);
    std::vector<double> x(p), q = draw(p);
    const std::vector<double> diagonal(p, 2.0);
    std::vector<int32_t> active(p);
    DescentArgs a{};
    a.p = p;
    a.l1 = 0.3;
    a.diagonal = diagonal.data();
    a.x = x.data();
    a.q = q.data();
    a.size = 10;
    a.most = 20;
    a.active = active.data();
    measured([&] { k.gram_descent(H.data(), &a); });
  };
  kernels_by_name["Gram matrix csr float64"] = [](const Kernels& k) {
    Matrix<double> m(kCsr, kRows, 200);
    const int64_t p = 200;
    std::vector<double> H(p * p), weight(kRows, 1.0), values(p);
    std::vector<int32_t> ids(p);
    measured([&] {
      k.add_gram(&m.block, nullptr, weight.data(), 0, p, H.data(), ids.data(), values.data(), 1);
    });
  };
  kernels_by_name["penalty terms"] = [](const Kernels& k) {
    const int64_t d = 2000;
    const auto W = draw(d), v = draw(d);
    const double l1 = 0.1, l2 = 0.5, c = 0.75;
    double value = 0, gap = 0, slope = 0;
    measured([&] {
      k.penalty_terms(kFloat64, d, 1, W.data(), v.data(), &l1, &l2, nullptr, &c, &value, &gap,
                      &slope);
    });
  };
}

void fill() {
  for (int32_t storage : {kDense, kCsr, kOnes}) {
    add_passes<double>(storage, 1);
    add_passes<double>(storage, 8);
    add_passes<float>(storage, 1);
    add_steps<double>("saga", storage, 1);
    add_steps<float>("saga", storage, 1);
    add_steps<double>("svrg", storage, 1);
  }
  add_steps<double>("saga", kCsr, 3);
  for (const char* loss : {"squared", "logistic", "huber", "poisson"}) add_losses(loss, 1);
  add_losses("multinomial", 3);
  add_epochs();
  add_working_sets();
}

}  // namespace

int main(int argc, char** argv) {
  fill();
  if (argc < 2) {
    for (const auto& [name, kernel] : kernels_by_name) std::printf("%s\n", name.c_str());
    return 0;
  }
  const auto found = kernels_by_name.find(argv[1]);
  if (found == kernels_by_name.end()) return 2;
  found->second(*kernels());
  return 0;
}
