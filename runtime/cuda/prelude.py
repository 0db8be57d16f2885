"""The CUDA C that stands before all generated kernels."""

PRELUDE = r"""
typedef long long Word;

#define INFINITE_FLOAT __int_as_float(0x7f800000)
#define INFINITE_DOUBLE __longlong_as_double(0x7ff0000000000000LL)

// Behind the commit point a guard is the address of the run's status word. Kernels before this one
// have written it, so it may come from a cache: a million threads that all went to one address of
// the memory itself would queue there.
__device__ __forceinline__ bool stopped(Word guard)
{
    return guard != 0 && *(const Word*)guard != 0;
}

template <typename T> __device__ __forceinline__ T* at(Word address)
{
    return (T*)address;
}

// Whichever thread comes last is heard; all of them report a problem of the same run.
__device__ __forceinline__ void report(Word status, Word code)
{
    *(volatile Word*)status = code;
}

// Quotient and rest of numbers that are not negative. 64-bit division costs several times more.
__device__ __forceinline__ void split(Word i, Word n, Word& quotient, Word& rest)
{
    if (((i | n) >> 32) == 0) {
        unsigned whole = (unsigned)i / (unsigned)n;
        quotient = whole;
        rest = (unsigned)i - whole * (unsigned)n;
    } else {
        quotient = i / n;
        rest = i - quotient * n;
    }
}

template <typename T, int n> struct alignas(sizeof(T) * n) Pack {
    T item[n];
};

// Items from `count` on repeat the last one that is there.
template <typename T, int n>
__device__ __forceinline__ void load_pack(Pack<T, n>& pack, const T* from, int count, bool aligned)
{
    if (aligned && count >= n) {
        pack = *(const Pack<T, n>*)from;
    } else {
        #pragma unroll
        for (int k = 0; k < n; ++k) pack.item[k] = from[k < count ? k : count - 1];
    }
}

template <typename T, int n>
__device__ __forceinline__ void store_pack(T* to, const Pack<T, n>& pack, int count, bool aligned)
{
    if (aligned && count >= n) {
        *(Pack<T, n>*)to = pack;
    } else {
        #pragma unroll
        for (int k = 0; k < n; ++k)
            if (k < count) to[k] = pack.item[k];
    }
}
"""
