// The passes on a CUDA device.
#include "platform_cuda.hpp"
#include "backend_impl.hpp"
