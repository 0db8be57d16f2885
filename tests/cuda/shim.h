// CUDA C on the CPU: what generated kernels use of the language and its built-in functions.
//
// Every thread of a block runs on a fiber of scheduler.cpp, which gets control at barriers and at
// exchanges between lanes. There are no headers here, so that a module compiles in little time.
#pragma once

struct Index3 {
    unsigned x, y, z;
};

extern "C" {
extern Index3 threadIdx, blockIdx, blockDim, gridDim;
extern char* shim_dynamic_shared;
void shim_barrier(int line);
unsigned long long shim_exchange(
    int line, int kind, unsigned mask, unsigned long long value, int argument, int width);
// The linker's bounds of all static shared arrays.
extern char __start_shared_arrays[] __attribute__((weak, visibility("hidden")));
extern char __stop_shared_arrays[] __attribute__((weak, visibility("hidden")));
}

#define warpSize 32
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
// `nobits`: takes no room in the file. A comment sign cuts off what the compiler would add.
#define __shared__ static __attribute__((section("shared_arrays,\"aw\",@nobits#")))
#define __syncthreads() shim_barrier(__LINE__)
#define __syncwarp(...) (void)shim_exchange(__LINE__, 0, 0xffffffffu, 0, 0, 32)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __shfl_xor_sync(...) shim::exchange(__LINE__, 1, __VA_ARGS__)
#define __shfl_down_sync(...) shim::exchange(__LINE__, 2, __VA_ARGS__)
#define __shfl_up_sync(...) shim::exchange(__LINE__, 3, __VA_ARGS__)
#define __shfl_sync(...) shim::exchange(__LINE__, 4, __VA_ARGS__)
#define __ballot_sync(mask, truth) ((unsigned)shim_exchange(__LINE__, 5, mask, !!(truth), 0, 32))
#define __any_sync(mask, truth) (__ballot_sync(mask, truth) != 0)
#define __all_sync(mask, truth) (__ballot_sync(mask, truth) == 0xffffffffu)

// What is no access of a kernel's own, atomics above all, races with nothing.
#define SHIM_FUNCTION static inline __attribute__((unused, no_sanitize_thread))

namespace shim {
template <typename To, typename From> SHIM_FUNCTION To bits(From value)
{
    static_assert(sizeof(To) == sizeof(From), "bits of another size");
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

template <typename T>
SHIM_FUNCTION T exchange(int line, int kind, unsigned mask, T value, int argument, int width = 32)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes exchange 4 or 8 bytes");
    unsigned long long word = 0;
    __builtin_memcpy(&word, &value, sizeof value);
    word = shim_exchange(line, kind, mask, word, argument, width);
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
}
} // namespace shim

// Vectors.
#define SHIM_VECTOR(type, name)                                                                    \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                       \
    struct alignas(sizeof(type) > 4 ? 16 : 4 * sizeof(type)) name##4 { type x, y, z, w; };         \
    SHIM_FUNCTION name##2 make_##name##2(type x, type y) { return {x, y}; }                        \
    SHIM_FUNCTION name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
SHIM_VECTOR(float, float)
SHIM_VECTOR(double, double)
SHIM_VECTOR(int, int)
SHIM_VECTOR(unsigned, uint)
SHIM_VECTOR(unsigned char, uchar)
SHIM_VECTOR(long long, longlong)
SHIM_VECTOR(unsigned long long, ulonglong)

// Bits.
SHIM_FUNCTION float __int_as_float(int x) { return shim::bits<float>(x); }
SHIM_FUNCTION int __float_as_int(float x) { return shim::bits<int>(x); }
SHIM_FUNCTION float __uint_as_float(unsigned x) { return shim::bits<float>(x); }
SHIM_FUNCTION unsigned __float_as_uint(float x) { return shim::bits<unsigned>(x); }
SHIM_FUNCTION double __longlong_as_double(long long x) { return shim::bits<double>(x); }
SHIM_FUNCTION long long __double_as_longlong(double x) { return shim::bits<long long>(x); }
SHIM_FUNCTION int __popc(unsigned x) { return __builtin_popcount(x); }
SHIM_FUNCTION int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
SHIM_FUNCTION int __clz(int x) { return x ? __builtin_clz(x) : 32; }
SHIM_FUNCTION int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
SHIM_FUNCTION int __ffs(int x) { return __builtin_ffs(x); }
SHIM_FUNCTION int __ffsll(long long x) { return __builtin_ffsll(x); }
SHIM_FUNCTION unsigned __umulhi(unsigned x, unsigned y)
{
    return (unsigned)((unsigned long long)x * y >> 32);
}
SHIM_FUNCTION unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
template <typename T> SHIM_FUNCTION T __ldg(const T* address) { return *address; }

// Arithmetic. Names of C's library are taken by the compiler as built in, and so may not be defined
// as C++ functions of other types: these are macros.
#define SHIM_UNARY(name)                                                                           \
    extern "C" float name##f(float) noexcept;                                                      \
    extern "C" double name(double) noexcept;
#define SHIM_BINARY(name)                                                                          \
    extern "C" float name##f(float, float) noexcept;                                               \
    extern "C" double name(double, double) noexcept;
SHIM_UNARY(fabs)
SHIM_UNARY(sqrt)
SHIM_UNARY(rint)
SHIM_UNARY(nearbyint)
SHIM_UNARY(floor)
SHIM_UNARY(ceil)
SHIM_UNARY(trunc)
SHIM_UNARY(round)
SHIM_BINARY(fmin)
SHIM_BINARY(fmax)
SHIM_BINARY(fmod)
SHIM_BINARY(copysign)
SHIM_BINARY(nextafter)
extern "C" float fmaf(float, float, float) noexcept;
extern "C" double fma(double, double, double) noexcept;
extern "C" float ldexpf(float, int) noexcept;
extern "C" double ldexp(double, int) noexcept;
extern "C" int abs(int) noexcept;
extern "C" long long llabs(long long) noexcept;

SHIM_FUNCTION float fabs(float x) { return __builtin_fabsf(x); }
SHIM_FUNCTION float sqrt(float x) { return __builtin_sqrtf(x); }
SHIM_FUNCTION float rint(float x) { return __builtin_rintf(x); }
SHIM_FUNCTION float floor(float x) { return __builtin_floorf(x); }
SHIM_FUNCTION float ceil(float x) { return __builtin_ceilf(x); }
SHIM_FUNCTION float trunc(float x) { return __builtin_truncf(x); }
SHIM_FUNCTION float fmod(float x, float y) { return __builtin_fmodf(x, y); }
SHIM_FUNCTION float copysign(float x, float y) { return __builtin_copysignf(x, y); }
SHIM_FUNCTION float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
SHIM_FUNCTION bool isnan(float x) { return __builtin_isnan(x); }
SHIM_FUNCTION bool isnan(double x) { return __builtin_isnan(x); }
SHIM_FUNCTION bool isinf(float x) { return __builtin_isinf_sign(x) != 0; }
SHIM_FUNCTION bool isinf(double x) { return __builtin_isinf_sign(x) != 0; }
SHIM_FUNCTION bool isfinite(float x) { return __builtin_isfinite(x); }
SHIM_FUNCTION bool isfinite(double x) { return __builtin_isfinite(x); }
SHIM_FUNCTION bool signbit(float x) { return __builtin_signbitf(x) != 0; }
SHIM_FUNCTION bool signbit(double x) { return __builtin_signbit(x) != 0; }

SHIM_FUNCTION float __fadd_rn(float x, float y) { return x + y; }
SHIM_FUNCTION float __fsub_rn(float x, float y) { return x - y; }
SHIM_FUNCTION float __fmul_rn(float x, float y) { return x * y; }
SHIM_FUNCTION float __fdiv_rn(float x, float y) { return x / y; }
SHIM_FUNCTION float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
SHIM_FUNCTION float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
SHIM_FUNCTION double __dadd_rn(double x, double y) { return x + y; }
SHIM_FUNCTION double __dsub_rn(double x, double y) { return x - y; }
SHIM_FUNCTION double __dmul_rn(double x, double y) { return x * y; }
SHIM_FUNCTION double __ddiv_rn(double x, double y) { return x / y; }
SHIM_FUNCTION double __dsqrt_rn(double x) { return __builtin_sqrt(x); }
SHIM_FUNCTION double __fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }

// Conversions to integers take the nearest that there is, and 0 (or the lowest, to 64 bits) for NaN.
namespace shim {
template <typename To, typename From> SHIM_FUNCTION To nearest(From x, To low, To high, To none)
{
    return x != x ? none : x <= (From)low ? low : x >= (From)high ? high : (To)x;
}
} // namespace shim
#define SHIM_TO_INTEGER(name, from, round)                                                         \
    SHIM_FUNCTION int __##from##2int_##name(from x)                                                \
    {                                                                                              \
        return shim::nearest<int>(round(x), -2147483647 - 1, 2147483647, 0);                       \
    }                                                                                              \
    SHIM_FUNCTION long long __##from##2ll_##name(from x)                                           \
    {                                                                                              \
        const long long high = 9223372036854775807LL;                                              \
        return shim::nearest<long long>(round(x), -high - 1, high, -high - 1);                     \
    }
SHIM_TO_INTEGER(rn, float, __builtin_rintf)
SHIM_TO_INTEGER(rz, float, __builtin_truncf)
SHIM_TO_INTEGER(rn, double, __builtin_rint)
SHIM_TO_INTEGER(rz, double, __builtin_trunc)
SHIM_FUNCTION float __double2float_rn(double x) { return (float)x; }
SHIM_FUNCTION float __int2float_rn(int x) { return (float)x; }
SHIM_FUNCTION float __ll2float_rn(long long x) { return (float)x; }
SHIM_FUNCTION double __ll2double_rn(long long x) { return (double)x; }

#define SHIM_EXTREMES(type)                                                                        \
    SHIM_FUNCTION type min(type x, type y) { return y < x ? y : x; }                               \
    SHIM_FUNCTION type max(type x, type y) { return x < y ? y : x; }
SHIM_EXTREMES(int)
SHIM_EXTREMES(unsigned)
SHIM_EXTREMES(long)
SHIM_EXTREMES(unsigned long)
SHIM_EXTREMES(long long)
SHIM_EXTREMES(unsigned long long)
SHIM_FUNCTION float min(float x, float y) { return __builtin_fminf(x, y); }
SHIM_FUNCTION float max(float x, float y) { return __builtin_fmaxf(x, y); }
SHIM_FUNCTION double min(double x, double y) { return __builtin_fmin(x, y); }
SHIM_FUNCTION double max(double x, double y) { return __builtin_fmax(x, y); }

// Atomics of integers alone: those of floats would make results depend on the order of threads.
#define SHIM_ATOMICS(type)                                                                         \
    SHIM_FUNCTION type atomicAdd(type* p, type v) { type old = *p; *p = (type)(old + v); return old; } \
    SHIM_FUNCTION type atomicMax(type* p, type v) { type old = *p; *p = old < v ? v : old; return old; } \
    SHIM_FUNCTION type atomicMin(type* p, type v) { type old = *p; *p = v < old ? v : old; return old; } \
    SHIM_FUNCTION type atomicOr(type* p, type v) { type old = *p; *p = old | v; return old; }      \
    SHIM_FUNCTION type atomicAnd(type* p, type v) { type old = *p; *p = old & v; return old; }     \
    SHIM_FUNCTION type atomicXor(type* p, type v) { type old = *p; *p = old ^ v; return old; }     \
    SHIM_FUNCTION type atomicExch(type* p, type v) { type old = *p; *p = v; return old; }          \
    SHIM_FUNCTION type atomicCAS(type* p, type c, type v) { type old = *p; if (old == c) *p = v; return old; }
SHIM_ATOMICS(int)
SHIM_ATOMICS(unsigned)
SHIM_ATOMICS(unsigned long long)
