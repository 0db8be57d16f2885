// Runs the threads of a block as fibers, so that they can wait for each other; see shim.h.
//
// A fiber takes one fresh thread after the other. Only when one waits is another fiber begun, so
// that a kernel without barriers runs as a plain loop.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include "shim.h"

Index3 threadIdx, blockIdx, blockDim, gridDim;
char* shim_dynamic_shared;

namespace {
constexpr int MOST_THREADS = 1024;
constexpr int LANES = 32;
constexpr size_t STACK = 256 << 10;
constexpr size_t MOST_SHARED = 256 << 10;
constexpr size_t MARGIN = 256;
constexpr unsigned char POISON = 0xff; // NaN as float and as double.
constexpr unsigned char FENCE = 0xa5;

enum State { FRESH, READY, AT_BARRIER, AT_EXCHANGE, DONE };

#if defined(__x86_64__)
struct Context {
    void* stack;
};
extern "C" void shim_switch(void** save, void* load);
asm(R"(
.text
.globl shim_switch
.hidden shim_switch
shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
void change(Context& from, Context& to) { shim_switch(&from.stack, to.stack); }
void begin(Context& context, char* stack, void (*body)())
{
    void** top = reinterpret_cast<void**>(stack + STACK) - 8;
    memset(top, 0, 8 * sizeof(void*));
    top[6] = reinterpret_cast<void*>(body);
    context.stack = top;
}
#else
using Context = ucontext_t;
void change(Context& from, Context& to) { swapcontext(&from, &to); }
void begin(Context& context, char* stack, void (*body)())
{
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, body, 0);
}
#endif

struct Thread {
    State state;
    int fiber;
    int line; // Where it waits.
    int kind; // The exchange, its mask, value, argument and width.
    unsigned mask;
    unsigned long long value;
    int argument;
    int width;
};

using Entry = void (*)(const long long*);

Context scheduler, fibers[MOST_THREADS];
char* stacks;
char* shared_memory;
Thread threads[MOST_THREADS];
int total, fresh, begun, current;
bool reverse;
bool failed;
Entry entry;
const long long* words;
char* message;
size_t message_size;

template <typename... Values> void fail(const char* format, Values... values)
{
    if (failed) return;
    failed = true;
    int length = snprintf(
        message, message_size, "block (%u, %u, %u): ", blockIdx.x, blockIdx.y, blockIdx.z);
    snprintf(message + length, message_size - length, format, values...);
}

} // namespace
#include "races.h"
namespace {

int nth(int position) { return reverse ? total - 1 - position : position; }

void become(int thread)
{
    current = thread;
    unsigned row = thread / blockDim.x;
    threadIdx = {thread % blockDim.x, row % blockDim.y, row / blockDim.y};
}

void fiber_body()
{
    for (;;) {
        int own = begun - 1;
        while (fresh < total && !failed) {
            become(nth(fresh++));
            threads[current].fiber = own;
            entry(words);
            threads[current].state = DONE;
        }
        change(fibers[threads[current].fiber], scheduler);
    }
}

void resume(int thread)
{
    threads[thread].state = READY;
    become(thread);
    change(scheduler, fibers[threads[thread].fiber]);
}

// A thread that has failed is never resumed.
void leave() { change(fibers[threads[current].fiber], scheduler); }

int source_of(const Thread& thread, int lane)
{
    int first = lane / thread.width * thread.width;
    int source = lane;
    if (thread.kind == 1) source = lane ^ thread.argument;
    if (thread.kind == 2) source = lane + thread.argument;
    if (thread.kind == 3) source = lane - thread.argument;
    if (thread.kind == 4) source = first + thread.argument % thread.width;
    return source < first || source >= first + thread.width ? lane : source;
}

// Exchange values between the lanes of the warp that begins at `first`, if all wait for that.
bool exchanged(int first)
{
    Thread* warp = threads + first;
    if (warp[0].state != AT_EXCHANGE) return false;
    unsigned long long given[LANES];
    unsigned long long ballot = 0;
    for (int lane = 0; lane < LANES; lane++) {
        if (warp[lane].state != AT_EXCHANGE || warp[lane].line != warp[0].line) return false;
        given[lane] = warp[lane].value;
        ballot |= given[lane] ? 1ULL << lane : 0;
    }
    for (int lane = 0; lane < LANES; lane++)
        warp[lane].value = warp[lane].kind == 5 ? ballot : given[source_of(warp[lane], lane)];
    return true;
}

bool exchange_warps()
{
    bool any = false;
    for (int first = 0; first + LANES <= total && !failed; first += LANES)
        while (!failed && exchanged(first)) {
            any = true;
            for (int lane = 0; lane < LANES && !failed; lane++)
                resume(first + (reverse ? LANES - 1 - lane : lane));
        }
    return any;
}

const char* doing(State state)
{
    return state == DONE ? "has returned"
        : state == AT_BARRIER ? "waits at __syncthreads"
                              : "waits for its warp";
}

// Say which two threads wait for different things.
void fail_apart()
{
    for (int thread = 1; thread < total; thread++) {
        const Thread &a = threads[0], &b = threads[thread];
        if (a.state != b.state || (a.state != DONE && a.line != b.line)) {
            fail("threads part ways: thread 0 %s (line %d), thread %d %s (line %d)",
                doing(a.state), a.state == DONE ? 0 : a.line, thread, doing(b.state),
                b.state == DONE ? 0 : b.line);
            return;
        }
    }
    fail("threads of different warps wait for each other");
}

bool passed_barrier()
{
    for (int thread = 0; thread < total; thread++)
        if (threads[thread].state != AT_BARRIER || threads[thread].line != threads[0].line)
            return false;
    races::interval++;
    for (int position = 0; position < total && !failed; position++) resume(nth(position));
    return true;
}

bool all_done()
{
    for (int thread = 0; thread < total; thread++)
        if (threads[thread].state != DONE) return false;
    return true;
}

void run_block()
{
    memset(threads, 0, total * sizeof(Thread));
    fresh = begun = 0;
    while (fresh < total && !failed) {
        begin(fibers[begun], stacks + begun * STACK, fiber_body);
        begun++;
        change(scheduler, fibers[begun - 1]);
    }
    while (!failed && !all_done())
        if (!exchange_warps() && !failed && !passed_barrier()) fail_apart();
}

void check_fence(const char* from, size_t bytes, const char* side)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)from[i] != FENCE) {
            fail("wrote %s its dynamic shared memory", side);
            return;
        }
}

void prepare_memory()
{
    if (stacks) return;
    auto map = [](size_t bytes) {
        return static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    };
    shared_memory = map(MOST_SHARED + 2 * MARGIN);
    stacks = map(MOST_THREADS * STACK);
}
} // namespace

void shim_barrier(int line)
{
    Thread& own = threads[current];
    own.state = AT_BARRIER;
    own.line = line;
    leave();
}

unsigned long long shim_exchange(
    int line, int kind, unsigned mask, unsigned long long value, int argument, int width)
{
    Thread& own = threads[current];
    if (mask != 0xffffffffu) fail("line %d: an exchange between some of the lanes", line);
    if (total % LANES)
        fail("line %d: blocks of %d threads cannot exchange values between lanes", line, total);
    own = {AT_EXCHANGE, own.fiber, line, kind, mask, value, argument, width};
    leave();
    return own.value;
}

extern "C" int shim_launch(Entry kernel, const long long* arguments, const unsigned* grid,
    const unsigned* block, size_t shared, char* arrays, size_t arrays_size, int backwards,
    int watched, char* text, size_t text_size)
{
    prepare_memory();
    entry = kernel;
    words = arguments;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    total = block[0] * block[1] * block[2];
    reverse = backwards;
    failed = false;
    message = text;
    message_size = text_size;
    char* dynamic = shim_dynamic_shared = shared_memory + MARGIN;
    memset(shared_memory, FENCE, shared + 2 * MARGIN);
    races::on = watched;
    races::launch++;
    races::arrays_begin = arrays;
    races::arrays_end = arrays + arrays_size;
    races::dynamic_begin = dynamic;
    races::dynamic_end = dynamic + shared;
    uint64_t blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    for (uint64_t position = 0; position < blocks && !failed; position++) {
        uint64_t number = reverse ? blocks - 1 - position : position;
        uint64_t row = number / grid[0];
        blockIdx = {unsigned(number % grid[0]), unsigned(row % grid[1]), unsigned(row / grid[1])};
        races::block = uint32_t(number);
        races::interval = 0;
        memset(arrays, POISON, arrays_size);
        memset(dynamic, POISON, shared);
        run_block();
        if (!failed && shared) {
            check_fence(shared_memory, MARGIN, "before");
            check_fence(dynamic + shared, MARGIN, "behind");
        }
    }
    return failed;
}

// What the compiler's checks of undefined behaviour call. A thread that fails one stops there.
namespace {
struct Location {
    const char* file;
    uint32_t line, column;
};

void fault(const Location* where, const char* what)
{
    fail("line %u: thread (%u, %u, %u): %s", where->line, threadIdx.x, threadIdx.y, threadIdx.z,
        what);
    leave();
}
} // namespace

extern "C" {
void __ubsan_handle_type_mismatch_v1(Location* where, void*) { fault(where, "misaligned address"); }
void __ubsan_handle_out_of_bounds(Location* where, void*) { fault(where, "index out of bounds"); }
void __ubsan_handle_add_overflow(Location* where, void*, void*) { fault(where, "signed overflow"); }
void __ubsan_handle_sub_overflow(Location* where, void*, void*) { fault(where, "signed overflow"); }
void __ubsan_handle_mul_overflow(Location* where, void*, void*) { fault(where, "signed overflow"); }
void __ubsan_handle_negate_overflow(Location* where, void*) { fault(where, "signed overflow"); }
void __ubsan_handle_divrem_overflow(Location* where, void*, void*)
{
    fault(where, "division by zero, or of the lowest integer by -1");
}
void __ubsan_handle_shift_out_of_bounds(Location* where, void*, void*)
{
    fault(where, "shift by more than the width");
}
void __ubsan_handle_load_invalid_value(Location* where, void*)
{
    fault(where, "a bool that is neither 0 nor 1");
}
}
