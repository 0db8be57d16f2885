// Finds accesses of several threads to the same memory that nothing orders: in one block, without a
// barrier in between; in different blocks of one launch, always. The compiler announces all accesses
// (-fsanitize=thread) but those to volatile memory, and shim.h keeps its atomics out of this.
//
// Part of scheduler.cpp.
namespace races {
struct Mark {
    uint32_t launch, block, interval;
    int thread;
};
// The last write of a byte, and the last reads by two different threads.
struct Cell {
    Mark written, read, read_before;
};
constexpr uintptr_t PAGE = 1 << 12;

bool on;
uint32_t launch, block, interval;
const char *arrays_begin, *arrays_end, *dynamic_begin, *dynamic_end;
// Open addressing by the number of a page. Pages are kept from launch to launch.
struct Slot {
    uintptr_t page;
    Cell* cells;
};
constexpr size_t SLOTS = 1 << 18;
Slot* slots;

void* fresh(size_t bytes)
{
    return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1, 0);
}

Cell& cell_of(uintptr_t address)
{
    if (!slots) slots = static_cast<Slot*>(fresh(SLOTS * sizeof(Slot)));
    uintptr_t page = address / PAGE;
    size_t at = page * 0x9e3779b97f4a7c15ULL >> 46;
    while (slots[at].page != page && slots[at].cells) at = (at + 1) % SLOTS;
    if (!slots[at].cells) slots[at] = {page, static_cast<Cell*>(fresh(PAGE * sizeof(Cell)))};
    return slots[at].cells[address % PAGE];
}

bool within(const char* address, const char* begin, const char* end)
{
    return begin <= address && address < end;
}

bool meets(const Mark& mark, bool shared)
{
    if (mark.launch != launch) return false;
    if (mark.block != block) return !shared;
    return mark.interval == interval && mark.thread != current;
}

void report(const Mark& other, const char* verb, const char* other_verb, bool shared)
{
    fail("race: thread %d %s %s memory that thread %d of block %u %s, and nothing orders the two",
        current, verb, shared ? "shared" : "global", other.thread, other.block, other_verb);
}

void note(const void* where, size_t size, bool write)
{
    const char* address = static_cast<const char*>(where);
    if (!on || failed || within(address, stacks, stacks + MOST_THREADS * STACK)) return;
    const bool shared =
        within(address, arrays_begin, arrays_end) || within(address, dynamic_begin, dynamic_end);
    const Mark own = {launch, block, interval, current};
    for (size_t i = 0; i < size; i++) {
        Cell& cell = cell_of(reinterpret_cast<uintptr_t>(address) + i);
        const char* verb = write ? "writes" : "reads";
        if (meets(cell.written, shared)) return report(cell.written, verb, "writes", shared);
        if (write) {
            if (meets(cell.read, shared)) return report(cell.read, verb, "reads", shared);
            if (meets(cell.read_before, shared))
                return report(cell.read_before, verb, "reads", shared);
            cell.written = own;
        } else {
            if (cell.read.thread != current || cell.read.block != block)
                cell.read_before = cell.read;
            cell.read = own;
        }
    }
}
} // namespace races

#define RACES_ACCESS(size)                                                                         \
    void __tsan_read##size(void* at) { races::note(at, size, false); }                             \
    void __tsan_write##size(void* at) { races::note(at, size, true); }                             \
    void __tsan_unaligned_read##size(void* at) { races::note(at, size, false); }                   \
    void __tsan_unaligned_write##size(void* at) { races::note(at, size, true); }                   \
    void __tsan_volatile_read##size(void*) {}                                                      \
    void __tsan_volatile_write##size(void*) {}                                                     \
    void __tsan_unaligned_volatile_read##size(void*) {}                                            \
    void __tsan_unaligned_volatile_write##size(void*) {}
extern "C" {
RACES_ACCESS(1)
RACES_ACCESS(2)
RACES_ACCESS(4)
RACES_ACCESS(8)
RACES_ACCESS(16)
void __tsan_read_range(void* at, size_t size) { races::note(at, size, false); }
void __tsan_write_range(void* at, size_t size) { races::note(at, size, true); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
