// Marks functions that GPUs call as well.
#pragma once

#ifdef __CUDACC__
#define FASTSUM_HD __host__ __device__
#else
#define FASTSUM_HD
#endif
