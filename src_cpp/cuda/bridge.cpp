// The Python face of backend.hpp: addresses of the device are ints, arrays of the host are float64
// numpy arrays, and the one place that turns an `Error` into an exception.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "backend.hpp"

#ifdef FASTSUM_EMULATED
namespace fastsum::device {
void emulate(int64_t processors, int64_t shared, int64_t total,
             int64_t sent);  // of backend_host.cpp
}
#endif

namespace py = pybind11;
namespace device = fastsum::device;
using Array = py::array_t<double, py::array::c_style>;

namespace {

double* at(uintptr_t address) { return reinterpret_cast<double*>(address); }

const double* read(const Array& values, int64_t n) {
  if (values.size() != n) throw py::value_error("an array of another size than the pass needs");
  return values.data();
}

double* written(Array& values, int64_t n) {
  read(values, n);
  return values.mutable_data();
}

// Memory of the device, given back with the object.
struct Memory {
  void* p;
  size_t n_bytes;
  explicit Memory(size_t n) : p(device::allocate(n)), n_bytes(n) {}
  ~Memory() { device::release(p); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* part(size_t offset, size_t n) const {
    if (offset > n_bytes || n > n_bytes - offset) throw py::value_error("past the end of memory");
    return static_cast<char*>(p) + offset;
  }
};

// Pinned memory of the host, as a buffer.
struct Pinned {
  void* p;
  size_t n_bytes;
  explicit Pinned(size_t n) : p(device::allocate_pinned(n)), n_bytes(n) {}
  ~Pinned() { device::release_pinned(p); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

struct Task {
  fastsum::Columns columns;
  int64_t n, K;
};

void copy_in(const Memory& to, const py::buffer& from, size_t offset) {
  const py::buffer_info info = from.request();
  const size_t n = size_t(info.size * info.itemsize);
  char* target = to.part(offset, n);
  py::gil_scoped_release release;
  device::copy_in(target, info.ptr, n);
}

void copy_out(const Memory& from, const py::buffer& to, size_t offset) {
  const py::buffer_info info = to.request(true);
  const size_t n = size_t(info.size * info.itemsize);
  const char* source = from.part(offset, n);
  py::gil_scoped_release release;
  device::copy_out(info.ptr, source, n);
}

void define_types(py::module_& m) {
  py::class_<Memory>(m, "Memory")
    .def(py::init<size_t>())
    .def_property_readonly("address", [](const Memory& s) { return uintptr_t(s.p); })
    .def_readonly("n_bytes", &Memory::n_bytes)
    .def("copy_in", &copy_in, py::arg("source"), py::arg("offset") = 0)
    .def("copy_out", &copy_out, py::arg("target"), py::arg("offset") = 0);
  py::class_<Pinned>(m, "Pinned", py::buffer_protocol())
    .def(py::init<size_t>())
    .def_property_readonly("address", [](const Pinned& s) { return uintptr_t(s.p); })
    .def_buffer([](Pinned& s) {
      return py::buffer_info(static_cast<uint8_t*>(s.p), py::ssize_t(s.n_bytes));
    });
  py::class_<device::Matrix>(m, "Matrix")
    .def(py::init([](uintptr_t values, const std::string& type, int64_t n_rows, int64_t n_cols,
                     int64_t stride, bool on_host) {
      const char* names[] = {"float32", "float64", "float16", "bfloat16"};
      for (int32_t id = 0; id < 4; ++id)
        if (type == names[id])
          return device::Matrix{at(values), id, n_rows, n_cols, stride, on_host};
      throw py::value_error("no passes over rows of " + type);
    }))
    .def_readonly("n_rows", &device::Matrix::n_rows)
    .def_readonly("n_cols", &device::Matrix::n_cols);
  py::class_<Task>(m, "Task").def(py::init(
    [](int32_t loss, double loss_param, int64_t n_problems, int64_t n_outputs, int32_t target_kind,
       uintptr_t y, uintptr_t sample_weight, uintptr_t offset, int64_t n) {
      const fastsum::Targets targets{at(y), target_kind == fastsum::kMulti ? n_problems : 1,
                                     target_kind};
      const fastsum::Columns columns{n_problems, n_outputs, targets,    at(sample_weight),
                                     1,          loss,      loss_param, at(offset)};
      return Task{columns, n, n_problems * n_outputs};
    }));
}

void define_passes(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  m.def("first_not_finite", &device::first_not_finite, Release());
  m.def(
    "margins",
    [](const device::Matrix& X, int64_t K, const Array& W, uintptr_t z) {
      device::margins(X, K, read(W, (X.n_cols + 1) * K), at(z));
    },
    Release());
  m.def(
    "transposed",
    [](const device::Matrix& X, int64_t K, uintptr_t r, uintptr_t s, bool squares, Array& out) {
      device::transposed(X, K, at(r), at(s), squares, written(out, X.n_cols * K));
    },
    Release());
  m.def(
    "gradient",
    [](const device::Matrix& X, const Task& t, const Array& W, Array& value, Array& out) {
      const int64_t size = (X.n_cols + 1) * t.K;
      device::gradient(X, t.columns, read(W, size), written(value, t.columns.n_problems),
                       written(out, size));
    },
    Release());
  m.def(
    "hessian_product",
    [](const device::Matrix& X, int64_t B, int64_t C, uintptr_t c, const Array& V, Array& out) {
      const int64_t size = (X.n_cols + 1) * B * C;
      device::hessian_product(X, B, C, at(c), read(V, size), written(out, size));
    },
    Release());
  m.def(
    "gram",
    [](const device::Matrix& X, uintptr_t c, int64_t first, int64_t stride, Array& H) {
      device::gram(X, at(c) + first, stride, written(H, (X.n_cols + 1) * (X.n_cols + 1)));
    },
    Release());
  m.def(
    "loss_terms",
    [](const Task& t, uintptr_t z, const Array& b, uintptr_t u, bool curvature, Array& sums) {
      const fastsum::Columns& c = t.columns;
      device::loss_terms(c, t.n, at(z), read(b, t.K), at(u), curvature,
                         written(sums, c.n_problems + t.K + t.K * c.n_outputs));
    },
    Release());
  m.def(
    "loss_gap",
    [](const Task& t, uintptr_t z, const Array& b, uintptr_t u, const Array& scale, Array& sums) {
      const int64_t B = t.columns.n_problems;
      device::loss_gap(t.columns, t.n, at(z), read(b, t.K), at(u), read(scale, B),
                       written(sums, B));
    },
    Release());
  m.def(
    "curvature",
    [](const Task& t, uintptr_t z, const Array& b, double factor, uintptr_t c) {
      device::curvature(t.columns, t.n, at(z), read(b, t.K), factor, at(c));
    },
    Release());
  m.def(
    "combine",
    [](int64_t n, int64_t K, const Array& a, uintptr_t x, const Array& b, uintptr_t y,
       uintptr_t out) { device::combine(n, K, read(a, K), at(x), read(b, K), at(y), at(out)); },
    Release());
  m.def(
    "inner",
    [](int64_t n, int64_t K, uintptr_t x, uintptr_t y, uintptr_t s, Array& sums) {
      device::inner(n, K, at(x), at(y), at(s), written(sums, K));
    },
    Release());
}

}  // namespace

PYBIND11_MODULE(FASTSUM_CUDA_MODULE, m) {
  m.doc() = "Passes over dense rows on a CUDA device; loads where there is none.";
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const device::Error& error) {
      PyErr_SetString(
        error.fault == device::Fault::kMemory ? PyExc_MemoryError : PyExc_RuntimeError,
        error.what());
    }
  });
  m.def("is_available", [] { return device::why_not().empty(); });
  m.def("why_not", &device::why_not);
  m.def("device_name", &device::device_name);
  m.def("memory", [] {
    int64_t free = 0, total = 0;
    device::memory(&free, &total);
    return py::make_tuple(free, total);
  });
  m.def("synchronize", &device::synchronize, py::call_guard<py::gil_scoped_release>());
  define_types(m);
  define_passes(m);
#ifdef FASTSUM_EMULATED
  m.def("emulate", &device::emulate, py::arg("processors") = 3, py::arg("shared") = 227 << 10,
        py::arg("total") = int64_t(1) << 40, py::arg("sent") = 256 << 20);
#endif
}
