// Runs a kernel's threads as fibers, each as far as its next barrier.
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
  bool launched = false, has_barriers = false;
};
std::map<const void*, Kernel>& kernels() {
  static std::map<const void*, Kernel> kernels;
  return kernels;
}

enum class State { Ready, AtBlockBarrier, AtWarpBarrier, Done };

struct Thread {
  ucontext_t context;
  State state;
  unsigned exchanges;                                    // how many so far: two slots are used in turn
  alignas(16) unsigned char slot[2][most_exchanged];
};

struct Block {
  std::vector<Thread> threads{most_threads};
  char* stacks = nullptr;
  ucontext_t scheduler;
  Thread* running = nullptr;
  Kernel* kernel = nullptr;
  const void* address = nullptr;
  void** arguments = nullptr;
} block;

void set_index(unsigned t) {
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

void wait_at(State barrier) {
  if (!block.running) fail("a kernel that has run without barriers now has one");
  block.kernel->has_barriers = true;
  block.running->state = barrier;
  swapcontext(&block.running->context, &block.scheduler);
}

void thread_main() {
  block.kernel->invoke(block.address, block.arguments);
  block.running->state = State::Done;
  swapcontext(&block.running->context, &block.scheduler);
}

// Lets go all threads of [begin, end) that wait at `barrier`, when none of them can still come there.
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

void run_block_on_fibers(bool descending) {
  const unsigned count = blockDim.x * blockDim.y * blockDim.z;
  if (!block.stacks) {
    void* stacks = mmap(nullptr, stack_bytes * most_threads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED) fail("no memory for the stacks of threads");
    block.stacks = static_cast<char*>(stacks);
  }
  for (unsigned t = 0; t < count; ++t) {
    Thread& thread = block.threads[t];
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = block.stacks + t * stack_bytes;
    thread.context.uc_stack.ss_size = stack_bytes;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, thread_main, 0);
    thread.state = State::Ready;
    thread.exchanges = 0;
  }
  for (;;) {
    bool progress = false, all_done = true;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned t = descending ? count - 1 - i : i;
      Thread& thread = block.threads[t];
      if (thread.state == State::Ready) {
        set_index(t);
        block.running = &thread;
        swapcontext(&block.scheduler, &thread.context);
        block.running = nullptr;
        progress = true;
      }
      all_done = all_done && thread.state == State::Done;
    }
    if (all_done) return;
    for (unsigned begin = 0; begin < count; begin += lanes)
      progress = release(begin, std::min(begin + lanes, count), State::AtWarpBarrier) || progress;
    progress = release(0, count, State::AtBlockBarrier) || progress;
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
  static bool descending = false;
  descending = !descending;
  block.kernel = &kernels().at(kernel);
  block.address = kernel;
  block.arguments = arguments;
  gridDim = grid;
  blockDim = threads;
  const unsigned blocks = grid.x * grid.y * grid.z, count = threads.x * threads.y * threads.z;
  if (count > most_threads || grid.y > 65535 || grid.z > 65535) fail("a launch that no GPU takes");
  // Whether a kernel has barriers shows in its first launch; one that has none needs no fibers.
  const bool fibers = !block.kernel->launched || block.kernel->has_barriers;
  for (unsigned i = 0; i < blocks; ++i) {
    const unsigned b = descending ? blocks - 1 - i : i;
    blockIdx = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
    if (fibers) {
      run_block_on_fibers(descending);
    } else {
      for (unsigned t = 0; t < count; ++t) {
        set_index(descending ? count - 1 - t : t);
        block.kernel->invoke(kernel, arguments);
      }
    }
  }
  block.kernel->launched = true;
}

void exchange(void* value, std::size_t size, unsigned distance) {
  if (size > most_exchanged) fail("a value too large to pass between lanes");
  if (!block.running) fail("a kernel that has run without barriers now exchanges values");
  Thread& self = *block.running;
  const auto index = static_cast<std::size_t>(&self - block.threads.data());
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
