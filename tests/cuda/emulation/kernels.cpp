// Runs a kernel's threads as fibers, each up to its next barrier. A fiber starts by makecontext; then setjmp and
// longjmp switch between them, without the system calls of swapcontext.
#undef _FORTIFY_SOURCE  // it takes a jump to another stack for an error
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <vector>

#include "internal.hpp"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation {

namespace {

constexpr unsigned lanes = 32, most_threads = 1024;
constexpr std::size_t stack_bytes = 64 * 1024, most_exchanged = 16;

struct Kernel {
  Invoke invoke = nullptr;
  std::vector<std::size_t> sizes;
};
std::map<const void*, Kernel>& kernels() {
  static std::map<const void*, Kernel> kernels;
  return kernels;
}

enum class State { Ready, AtBlockBarrier, AtWarpBarrier, Done };

struct Fiber {
  ucontext_t start;
  jmp_buf at;
};

struct Thread {
  Fiber* waiting;  // where it resumes
  State state;
  unsigned exchanges;  // exchanges so far: two slots alternate
  alignas(16) unsigned char slot[2][most_exchanged];
};

/// The running block. A fiber starts threads one after the other; one that stops at a barrier keeps its fiber, and the
/// next fiber starts the threads after it. So a kernel without barriers needs only one.
struct Block {
  std::vector<Thread> threads{most_threads};
  std::vector<Fiber> fibers{most_threads};
  unsigned fibers_used = 0;
  char* stacks = nullptr;
  jmp_buf scheduler;
  Fiber* fiber = nullptr;  // the running fiber
  unsigned running = 0;    // its thread
  unsigned begun = 0, count = 0;
  bool descending = false;
  const Kernel* kernel = nullptr;
  const void* address = nullptr;
  void** arguments = nullptr;
  unsigned nth(unsigned i) const { return descending ? count - 1 - i : i; }
} block;

void set_index(unsigned t) {
  block.running = t;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

void begin(Fiber* fiber) {
  block.fiber = fiber;
  if (_setjmp(block.scheduler) == 0) setcontext(&fiber->start);
}

void resume(Fiber* fiber) {
  block.fiber = fiber;
  if (_setjmp(block.scheduler) == 0) _longjmp(fiber->at, 1);
}

void pause() {
  if (_setjmp(block.fiber->at) == 0) _longjmp(block.scheduler, 1);
}

void wait_at(State barrier) {
  Thread& self = block.threads[block.running];
  self.state = barrier;
  self.waiting = block.fiber;
  pause();
}

void fiber_main() {
  while (block.begun < block.count) {
    const unsigned t = block.nth(block.begun++);
    set_index(t);
    block.kernel->invoke(block.address, block.arguments);
    block.threads[block.running].state = State::Done;
  }
  _longjmp(block.scheduler, 1);  // nothing left to start
}

// Releases all threads of [begin, end) waiting at `barrier`, once no other can still reach it.
bool release(unsigned begin, unsigned end, State barrier) {
  bool waiting = false;
  for (unsigned t = begin; t < end; ++t) {
    const State s = block.threads[t].state;
    if (s != barrier && s != State::Done) return false;
    waiting = waiting || s == barrier;
  }
  if (waiting)
    for (unsigned t = begin; t < end; ++t)
      if (block.threads[t].state == barrier) block.threads[t].state = State::Ready;
  return waiting;
}

void run_block() {
  if (!block.stacks) {
    void* stacks =
        mmap(nullptr, stack_bytes * most_threads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED) fail("no memory for the stacks of threads");
    block.stacks = static_cast<char*>(stacks);
  }
  for (unsigned t = 0; t < block.count; ++t) {
    block.threads[t].state = State::Ready;
    block.threads[t].exchanges = 0;
  }
  block.begun = block.fibers_used = 0;
  while (block.begun < block.count) {
    const unsigned f = block.fibers_used++;
    Fiber& fiber = block.fibers[f];
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = block.stacks + f * stack_bytes;
    fiber.start.uc_stack.ss_size = stack_bytes;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, fiber_main, 0);
    begin(&fiber);
  }
  for (;;) {
    bool progress = false, all_done = true;
    for (unsigned begin = 0; begin < block.count; begin += lanes)
      progress = release(begin, std::min(begin + lanes, block.count), State::AtWarpBarrier) || progress;
    progress = release(0, block.count, State::AtBlockBarrier) || progress;
    for (unsigned i = 0; i < block.count; ++i) {
      const unsigned t = block.nth(i);
      if (block.threads[t].state == State::Ready) {
        set_index(t);
        resume(block.threads[t].waiting);
      }
      all_done = all_done && block.threads[t].state == State::Done;
    }
    if (all_done) return;
    if (!progress) fail("the threads of a block wait for each other at different barriers");
  }
}

}  // namespace

void register_kernel(const void* kernel, Invoke invoke, const std::size_t* sizes, std::size_t count) {
  Kernel& entry = kernels()[kernel];
  if (!entry.invoke) entry = {invoke, std::vector<std::size_t>(sizes, sizes + count)};
}

const std::size_t* argument_sizes(const void* kernel, std::size_t& count) {
  const auto entry = kernels().find(kernel);
  if (entry == kernels().end()) return nullptr;
  count = entry->second.sizes.size();
  return entry->second.sizes.data();
}

void run_kernel(const void* kernel, dim3 grid, dim3 threads, void** arguments) {
  block.kernel = &kernels().at(kernel);
  block.address = kernel;
  block.arguments = arguments;
  block.descending = !block.descending;
  block.count = threads.x * threads.y * threads.z;
  gridDim = grid;
  blockDim = threads;
  if (block.count > most_threads || grid.y > 65535 || grid.z > 65535) fail("a launch that no GPU takes");
  const unsigned blocks = grid.x * grid.y * grid.z;
  for (unsigned i = 0; i < blocks; ++i) {
    const unsigned b = block.descending ? blocks - 1 - i : i;
    blockIdx = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
    run_block();
  }
}

void exchange(void* value, std::size_t size, unsigned distance) {
  if (size > most_exchanged) fail("a value too large to pass between lanes");
  const unsigned index = block.running;
  Thread& self = block.threads[index];
  const unsigned slot = self.exchanges++ % 2;
  std::memcpy(self.slot[slot], value, size);
  wait_at(State::AtWarpBarrier);
  const Thread& other = block.threads[index ^ distance];
  if (other.exchanges != self.exchanges && other.exchanges != self.exchanges + 1)
    fail("the lanes of a warp are at different exchanges");
  std::memcpy(value, other.slot[slot], size);
}

}  // namespace emulation

void __syncthreads() { emulation::wait_at(emulation::State::AtBlockBarrier); }
