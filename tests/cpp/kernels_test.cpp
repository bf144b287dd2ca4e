// Every kernel of src_cpp/kernels.hpp against plain loops, for all storages, both dtypes, K = 1
// and K > 1, one and two threads, and every CPU level that runs here.
#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

using namespace fastsum;

namespace {

int failures = 0;
std::string context;

void check(bool ok, const char* what) {
  if (ok) return;
  ++failures;
  std::printf("FAILED %s: %s\n", context.c_str(), what);
}

bool close(double a, double b, double tol) { return std::fabs(a - b) <= tol * (1 + std::fabs(b)); }

void check_close(const std::vector<double>& got, const std::vector<double>& want, const char* what,
                 double tol = 1e-12) {
  check(got.size() == want.size(), what);
  for (size_t e = 0; e < want.size() && e < got.size(); ++e) {
    if (close(got[e], want[e], tol)) continue;
    check(false, what);
    std::printf("  entry %zu: %.17g, expected %.17g\n", e, got[e], want[e]);
    return;
  }
}

// Numbers in [-1, 1], multiples of 1/256: exact in float32.
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

// An array of doubles seen as the dtype of a block.
struct Typed {
  std::vector<double> f64;
  std::vector<float> f32;
  int32_t dtype;
  Typed(const std::vector<double>& x, int32_t dtype_)
      : f64(x), f32(x.begin(), x.end()), dtype(dtype_) {}
  void* data() { return dtype == kFloat64 ? (void*)f64.data() : (void*)f32.data(); }
  std::vector<double> values() const {
    return dtype == kFloat64 ? f64 : std::vector<double>(f32.begin(), f32.end());
  }
};

// One matrix in one storage, and the same as a dense one with its pattern.
struct Matrix {
  int64_t n = 23, d = 37;
  std::vector<double> dense;
  std::vector<bool> held;
  std::vector<int32_t> indices;
  std::vector<int64_t> indptr{0};
  Typed values{{}, kFloat64};
  RowBlock block{};

  Matrix(int32_t storage, int32_t dtype) {
    Random random;
    const int64_t stride = d + 3;  // dense rows may be further apart than they are long
    std::vector<double> stored;
    dense.assign(n * d, 0);
    held.assign(n * d, false);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < stride; ++j) {
        const double x = random();
        const bool keep = storage == kDense || (random() < -0.3 && i != 4 && j != 5);
        if (j >= d) {
          if (storage == kDense) stored.push_back(NAN);  // never to be read
          continue;
        }
        if (!keep) continue;
        dense[i * d + j] = storage == kOnes ? 1.0 : x;
        held[i * d + j] = true;
        stored.push_back(x);
        indices.push_back(int32_t(j));
      }
      indptr.push_back(int64_t(indices.size()));
    }
    values = Typed(stored, dtype);
    block.storage = storage;
    block.dtype = dtype;
    block.n_rows = n;
    block.n_cols = d;
    block.stride = stride;
    block.values = storage == kOnes ? nullptr : values.data();
    block.indices = storage == kDense ? nullptr : indices.data();
    block.indptr = storage == kDense ? nullptr : indptr.data();
  }
};

void test_passes(const Kernels& k, Matrix& m, int64_t K, int32_t threads) {
  Random random;
  const int64_t n = m.n, d = m.d;
  const std::vector<double> r = draw(random, n * K);
  for (int32_t dtype : {kFloat32, kFloat64}) {
    Typed W(draw(random, (d + 1) * K), dtype);
    std::vector<double> z(n * K, NAN), want(n * K);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < K; ++c) {
        double sum = W.f64[d * K + c];
        for (int64_t j = 0; j < d; ++j) sum += m.dense[i * d + j] * W.f64[j * K + c];
        want[i * K + c] = sum;
      }
    check(k.margins(&m.block, dtype, W.data(), K, z.data(), threads) == kOk, "margins status");
    check_close(z, want, "margins");
  }
  std::vector<double> out(d * K, 0.5), want(d * K, 0.5), work(threads * d * K, NAN);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j)
      for (int64_t c = 0; c < K; ++c) want[j * K + c] += m.dense[i * d + j] * r[i * K + c];
  k.add_transposed(&m.block, r.data(), K, out.data(), work.data(), threads);
  check_close(out, want, "add_transposed");

  std::vector<double> norms(n, NAN), want_norms(n, 0), mass(d, 0.25), want_mass(d, 0.25);
  std::vector<double> count(d, 0), want_count(d, 0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) {
      want_norms[i] += m.dense[i * d + j] * m.dense[i * d + j];
      want_mass[j] += m.held[i * d + j] ? r[i] : 0;
      want_count[j] += m.held[i * d + j];
    }
  k.row_norms(&m.block, nullptr, norms.data(), threads);
  check_close(norms, want_norms, "row_norms");
  k.column_mass(&m.block, r.data(), mass.data());
  check_close(mass, want_mass, "column_mass");
  k.column_mass(&m.block, nullptr, count.data());
  check_close(count, want_count, "column_mass without p");
}

// A loss, its K axis and its parameter: within the range of the margins.
struct Axis {
  int32_t loss;
  int64_t B, C;
  int32_t kind;
  double param = 0.375;
};

// Whether labels of a loss are >= 0.
bool counts(int32_t loss) { return !std::strcmp(loss_name(loss), "poisson"); }

std::vector<Axis> axes() {
  std::vector<Axis> out;
  for (int32_t loss = 0; loss < num_losses(); ++loss) {
    if (loss_coupled(loss)) {
      out.push_back({loss, 1, 3, kShared});
      continue;
    }
    out.push_back({loss, 1, 1, kShared});
    if (!counts(loss)) out.push_back({loss, 3, 1, kOneVsRest});
    out.push_back({loss, 2, 1, kMulti});
  }
  return out;
}

struct Labels {
  std::vector<double> y, s;
  Columns columns{};
  Labels(const Axis& a, int64_t n, bool weighted) {
    Random random;
    const int64_t width = a.kind == kMulti ? a.B : 1;
    for (int64_t e = 0; e < n * width; ++e)
      y.push_back(a.kind == kOneVsRest || a.C > 1 || counts(a.loss) ? double(e % 3)
                                                                    : (e % 3 ? 1.0 : -1.0));
    for (int64_t i = 0; i < n; ++i) s.push_back(i % 5 ? 1.5 + random() : 0.0);
    columns = {a.B,     a.C,    {y.data(), width, a.kind}, weighted ? s.data() : nullptr, 1, a.loss,
               a.param, nullptr};
  }
  double label(int64_t i, int64_t q) const {
    const Targets& t = columns.targets;
    if (t.kind == kOneVsRest) return y[i] == double(q) ? 1.0 : -1.0;
    return t.kind == kMulti ? y[i * t.stride + q] : y[i];
  }
  double weight(int64_t i) const { return columns.sample_weight ? s[i] : 1.0; }
};

void test_losses(const Kernels& k, const Axis& a, bool weighted, int32_t threads) {
  const int64_t n = 23, B = a.B, C = a.C, K = B * C, width = B + K + K * C;
  Random random;
  Labels labels(a, n, weighted);
  const std::vector<double> z = draw(random, n * K), b = draw(random, K);
  const std::vector<double> scale(B, 0.75);
  std::vector<double> want(width, 0), want_u(n * K), want_h(n * K * C), want_gap(B, 0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t q = 0; q < B; ++q) {
      const double s = labels.weight(i), y = labels.label(i, q);
      std::vector<double> m(C), u(C), h(C * C);
      for (int64_t c = 0; c < C; ++c) m[c] = z[i * K + q * C + c] + b[q * C + c];
      double value, conjugate, inner = 0;
      loss_point(a.loss, a.param, 0, m.data(), y, C, &value);
      loss_point(a.loss, a.param, 1, m.data(), y, C, u.data());
      loss_point(a.loss, a.param, 2, m.data(), y, C, h.data());
      want[q] += s * value;
      for (int64_t c = 0; c < C; ++c) {
        want[B + q * C + c] += s * u[c];
        want_u[i * K + q * C + c] = u[c];
        u[c] *= scale[q];
        inner += m[c] * u[c];
      }
      for (int64_t e = 0; e < C * C; ++e) {
        want[B + K + q * C * C + e] += s * h[e];
        want_h[(i * B + q) * C * C + e] = h[e];
      }
      loss_point(a.loss, a.param, 3, u.data(), y, C, &conjugate);
      want_gap[q] += s * (value + conjugate - inner);
    }
  std::vector<double> sums(threads * width, 0), u(n * K, NAN), work(threads * (2 * K + C * C));
  const auto total = [&](const std::vector<double>& parts, int64_t size) {
    std::vector<double> out(size, 0);
    for (size_t e = 0; e < parts.size(); ++e) out[e % size] += parts[e];
    return out;
  };
  k.loss_terms(&labels.columns, n, z.data(), b.data(), u.data(), 1, sums.data(), work.data(),
               threads);
  check_close(total(sums, width), want, "loss_terms");
  check_close(u, want_u, "loss_terms: derivatives");
  sums.assign(sums.size(), 0);
  k.loss_terms(&labels.columns, n, z.data(), b.data(), nullptr, 0, sums.data(), work.data(),
               threads);
  for (int64_t e = B + K; e < width; ++e) want[e] = 0;
  check_close(total(sums, width), want, "loss_terms without curvature");

  std::vector<double> h(n * K * C, NAN);
  k.loss_curvature(&labels.columns, n, z.data(), b.data(), h.data(), work.data(), threads);
  check_close(h, want_h, "loss_curvature");
  std::vector<double> gap(threads * B, 0);
  k.loss_gap(&labels.columns, n, z.data(), b.data(), want_u.data(), scale.data(), gap.data(),
             work.data(), threads);
  check_close(total(gap, B), want_gap, "loss_gap");
  for (double g : gap) check(g >= 0, "loss_gap is negative");
}

void test_penalty(const Kernels& k, int64_t K, int32_t dtype) {
  const int64_t d = 29;
  Random random;
  std::vector<double> weights = draw(random, d * K), v = draw(random, d * K);
  for (int64_t e = 0; e < d * K; e += 3) weights[e] = 0;
  Typed W(weights, dtype);
  std::vector<double> l1(K), l2(K), c(K, 0.5), value(K, 0), gap(K, 0), slope(K, 0);
  std::vector<double> want_value(K, 0), want_gap(K, 0), want_slope(K, 0);
  for (int64_t q = 0; q < K; ++q) {
    l1[q] = q % 2 ? 0.25 : 0.0;
    l2[q] = 0.5 + double(q);
    for (int64_t j = 0; j < d; ++j) {
      const double w = weights[j * K + q], g = v[j * K + q], cv = c[q] * g;
      const double h = l1[q] * std::fabs(w) + l2[q] * w * w / 2;
      const double excess = std::fmax(std::fabs(cv) - l1[q], 0.0);
      want_value[q] += h;
      want_gap[q] += h + excess * excess / (2 * l2[q]) - w * cv;
      const double r =
        w != 0 ? g - std::copysign(l1[q], w) - l2[q] * w : std::fmax(std::fabs(g) - l1[q], 0.0);
      want_slope[q] += r * r;
    }
  }
  std::vector<double> own;  // as if it were none
  for (int64_t j = 0; j < d; ++j) own.insert(own.end(), {1.0, -HUGE_VAL, HUGE_VAL});
  for (const double* each :
       {static_cast<const double*>(nullptr), static_cast<const double*>(own.data())}) {
    for (auto* sums : {&value, &gap, &slope}) sums->assign(K, 0);
    k.penalty_terms(dtype, d, K, W.data(), v.data(), l1.data(), l2.data(), each, c.data(),
                    value.data(), gap.data(), slope.data());
    check_close(value, want_value, "penalty_terms: value");
    check_close(gap, want_gap, "penalty_terms: gap");
    check_close(slope, want_slope, "penalty_terms: subgradient");
  }
}

bool is_one_of(int32_t solver, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return !std::strcmp(name, solver_name(solver)); });
}

// What m steps of an untouched column multiply, for the m < 256 and then for multiples of 256: the
// lags of katyusha.hpp at r = 1 / 1.001 and rho = 0.4, the sums of rpdg.hpp at alpha = 0.9, or the
// decay of lazy.hpp at step 0.01 and l2 0.1.
std::vector<double> stretches(int64_t n, int64_t K, bool lags, bool sums) {
  std::vector<double> out;
  for (int64_t row = 0; row < 256 + n; ++row) {
    const double m = double(row < 256 ? row : 256 * (row - 256)), power = std::pow(1.001, -m);
    if (lags) {
      const double lost = 1 - 1 / 1.001, sum = (1 - power) / lost;
      for (double x : {power, sum, (sum - m * power) / lost, std::pow(0.4, m)})
        out.insert(out.end(), size_t(K), x);
      continue;
    }
    for (int64_t k = 0; k < K; ++k)
      if (sums)
        out.push_back((1 - std::pow(0.9, m)) / 0.1);
      else
        out.insert(out.end(), {power, (1 - power) / 0.001});
  }
  return out;
}

// Steps of a solver from a random state: weights and state arrays after them. Every slot holds
// something, vector 0 five vectors.
std::vector<double> stepped(const Kernels& k, int32_t solver, Matrix& m, const Axis& a,
                            bool stored) {
  const int64_t n = m.n, d = m.d, K = a.B * a.C;
  const int32_t dtype = m.block.dtype;
  Random random;
  Labels labels(a, n, true);
  std::vector<int64_t> order;
  for (int64_t t = 0; t < 3 * n; ++t) order.push_back(t * 7 % n);
  std::vector<double> q(n), work(11 * K + d), D(d), step(K, 0.01), l1(K, 0.01), l2(K, 0.1);
  for (double& x : q) x = double(n) + random();
  for (double& x : D) x = 2 + random();
  Typed density(D, dtype), gamma(step, dtype), first(l1, dtype), second(l2, dtype);
  Typed W(draw(random, 5 * (d + 1) * K), dtype), G(draw(random, (d + 1) * K), dtype);
  Typed table(draw(random, n * K), dtype);
  std::vector<Typed> more(6, Typed(draw(random, (d + 1) * K), dtype));
  const bool lags = is_one_of(solver, {"katyusha", "mig", "l_katyusha"});
  const bool sums = is_one_of(solver, {"rpdg"});
  const std::vector<double> small(K, 0.01), share(K, 0.3), keep(K, 0.9), r(K, 1 / 1.001);
  const std::vector<double> sequence = stretches(n, K, lags, sums);
  std::vector<int64_t> visits(d);
  StepArgs s{};
  s.columns = labels.columns;
  s.order = order.data();
  s.n_steps = int64_t(order.size());
  s.total_weight = 30;
  s.q = q.data();
  s.intercept_curvature = 0.5;
  s.density = density.data();
  s.step = gamma.data();
  s.l1 = first.data();
  s.l2 = second.data();
  s.vectors[0] = W.data();
  s.vectors[1] = G.data();
  for (int slot = 0; slot < 6; ++slot) s.vectors[2 + slot] = more[slot].data();
  for (const double*& x : s.parameters) x = small.data();
  if (lags) s.parameters[0] = s.parameters[1] = share.data(), s.parameters[3] = r.data();
  if (sums) s.parameters[0] = keep.data();
  s.sequences[0] = sequence.data();
  s.visits = visits.data();
  s.n_threads = 1;
  s.tables[0] = stored ? table.data() : nullptr;
  Typed second_table(draw(random, n * K), dtype), first_table(draw(random, n * K), dtype);
  if (!s.tables[0] && solver >= 2) s.tables[0] = first_table.data();
  s.tables[1] = second_table.data();
  const std::vector<double> norms(n, 1.0);
  s.per_row[0] = norms.data();
  s.work = work.data();
  check(k.steps(solver, &m.block, &s) == kOk, "steps status");
  std::vector<double> out = W.values();
  for (const Typed* x : {&G, &table}) {
    const std::vector<double> values = x->values();
    out.insert(out.end(), values.begin(), values.end());
  }
  for (double x : out) check(std::isfinite(x), "steps: not finite");
  return out;
}

void test_csr_checks() {
  const int64_t good[] = {0, 2, 2, 3}, falling[] = {0, 2, 1, 3}, late[] = {1, 2, 2, 3};
  const int64_t far[] = {0, 2, 2, 4};
  const int32_t ids[] = {0, 2, 1}, wrong[] = {0, 3, 1}, negative[] = {0, 2, -1};
  const int64_t wide[] = {0, 2, int64_t(1) << 32};
  const auto kind = [](const int64_t* p, const void* j, int32_t bytes) {
    return find_csr_fault(p, 3, j, bytes, 3, 3).kind;
  };
  check(kind(good, ids, 4) == 0, "a sound CSR is accepted");
  check(kind(falling, ids, 4) == 1 && kind(late, ids, 4) == 1, "falling pointers");
  check(kind(far, ids, 4) == 2, "pointer past the end");
  check(kind(good, wrong, 4) == 3 && kind(good, negative, 4) == 3, "column out of range");
  check(kind(good, wide, 8) == 3, "64-bit column out of range");
  const int32_t twice[] = {1, 1, 0}, unsorted[] = {2, 0, 1};
  check(rows_increase(good, 3, ids, 4), "sorted rows");
  check(!rows_increase(good, 3, twice, 4), "duplicates");
  check(!rows_increase(good, 3, unsorted, 4), "unsorted");
  uint32_t stamps[3][64] = {};
  check(columns_differ(good, 3, ids, 4, stamps[0]), "sorted rows differ");
  check(!columns_differ(good, 3, twice, 4, stamps[1]), "a column twice");
  check(columns_differ(good, 3, unsorted, 4, stamps[2]), "unsorted rows differ");
}

void test_level(const Kernels& k, const Kernels& base) {
  for (int32_t storage : {kDense, kCsr, kOnes}) {
    for (int32_t dtype : {kFloat32, kFloat64}) {
      Matrix m(storage, dtype);
      for (int64_t K : {1, 3, 8}) {
        for (int32_t threads : {1, 2}) {
          context = std::string(k.level) + " storage " + std::to_string(storage) + " dtype " +
                    std::to_string(dtype) + " K " + std::to_string(K) + " threads " +
                    std::to_string(threads);
          test_passes(k, m, K, threads);
        }
        test_penalty(k, K, dtype);
      }
      for (const Axis& a : axes())
        for (int32_t solver = 0; solver < num_solvers(); ++solver) {
          if (!std::isfinite(loss_curvature(a.loss, a.param))) continue;  // no step serves it
          if (!std::strcmp(loss_name(a.loss), "squared_rows") &&
              !std::strcmp(solver_name(solver), "apcg"))
            continue;  // its roots are softmax's; Python does not let it meet this loss
          context = std::string(k.level) + " " + solver_name(solver) + " " + loss_name(a.loss) +
                    " storage " + std::to_string(storage) + " dtype " + std::to_string(dtype);
          const double tol = dtype == kFloat64 ? 1e-12 : 1e-4;
          check_close(stepped(k, solver, m, a, true), stepped(base, solver, m, a, true),
                      "steps equal the base level's", tol);
          if (!std::strcmp(solver_name(solver), "svrg"))
            check_close(stepped(k, solver, m, a, false), stepped(base, solver, m, a, false),
                        "steps equal the base level's, snapshot not stored", tol);
        }
    }
  }
  for (const Axis& a : axes())
    for (bool weighted : {false, true})
      for (int32_t threads : {1, 2, 5}) {
        context = std::string(k.level) + " " + loss_name(a.loss) + " kind " +
                  std::to_string(a.kind) + " threads " + std::to_string(threads);
        test_losses(k, a, weighted, threads);
      }
}

}  // namespace

int main() {
  test_csr_checks();
  check(!select_level("v9"), "an unknown level is refused");
  check(select_level("base"), "the base level runs everywhere");
  const Kernels* base = kernels();
  int levels = 0;
  for (int32_t i = 0; const char* level = built_level(i); ++i) {
    if (!level_supported(level)) continue;
    check(select_level(level), level);
    check(!std::strcmp(kernels()->level, level), "the level chosen is the one asked for");
    test_level(*kernels(), *base);
    ++levels;
  }
  RowBlock unknown{};
  unknown.storage = 99;
  double nothing = 0;
  context = "unknown storage";
  check(base->row_norms(&unknown, nullptr, &nothing, 1) == kUnsupported, "is reported");
  std::printf("kernels_test: %d levels, %d failures\n", levels, failures);
  return failures ? 1 : 0;
}
