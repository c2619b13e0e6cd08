#include "kernels/cuda/nccl.hpp"

#ifndef HANDGRAD_NCCL  // there was no nccl.h

namespace handgrad::kernels::cuda {

static const char* const missing = "the CUDA kernels were built without NCCL (nccl.h was not found)";
std::string new_nccl_id() { fail(missing); }
std::unique_ptr<RankSums> make_nccl_sums(Context&, const std::string&, int, int) { fail(missing); }

}  // namespace handgrad::kernels::cuda

#else

#include <dlfcn.h>
#include <nccl.h>

#include <cstring>

namespace handgrad::kernels::cuda {

namespace {

/// The functions of libnccl.so.2. The module is not linked with it: it is large, and for those who have several GPUs.
struct Nccl {
#define HANDGRAD_NCCL_FUNCTIONS(F) \
  F(ncclGetUniqueId)               \
  F(ncclCommInitRank)              \
  F(ncclCommDestroy) F(ncclCommAbort) F(ncclCommGetAsyncError) F(ncclAllReduce) F(ncclGetErrorString)
#define HANDGRAD_DECLARE(NAME) decltype(&::NAME) NAME = nullptr;
  HANDGRAD_NCCL_FUNCTIONS(HANDGRAD_DECLARE)
#undef HANDGRAD_DECLARE

  static const Nccl& loaded() {
    static const Nccl nccl = load();
    return nccl;
  }

 private:
  static Nccl load() {
    Nccl nccl;
#ifdef HANDGRAD_CUDA_EMULATED
#define HANDGRAD_FIND(NAME) nccl.NAME = &::NAME;
#else
    void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      const char* why = dlerror();
      fail(std::string("NCCL cannot be loaded: ") + (why ? why : "unknown error"));
    }
#define HANDGRAD_FIND(NAME)                                               \
  nccl.NAME = reinterpret_cast<decltype(&::NAME)>(dlsym(library, #NAME)); \
  if (!nccl.NAME) fail("libnccl.so.2 has no " #NAME);
#endif
    HANDGRAD_NCCL_FUNCTIONS(HANDGRAD_FIND)
#undef HANDGRAD_FIND
    return nccl;
  }
};

void check(ncclResult_t status, const char* call) {
  if (status != ncclSuccess && status != ncclInProgress)
    fail(std::string(call) + ": " + Nccl::loaded().ncclGetErrorString(status));
}

/// On a stream of its own, beside the device's: an event tells it when a gradient is ready, another tells the device
/// when the sums are.
class NcclSums final : public RankSums {
 public:
  NcclSums(Context& context, const std::string& id, int rank, int ranks) : context_(context) {
    ncclUniqueId unique{};
    if (id.size() != sizeof unique) fail("NCCL: an identifier of another length");
    std::memcpy(&unique, id.data(), sizeof unique);
    {
      const auto guard = context_.use();
      HANDGRAD_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
      HANDGRAD_CUDA(cudaEventCreateWithFlags(&ready_, cudaEventDisableTiming));
      HANDGRAD_CUDA(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming));
    }
    context_.use();  // makes the device this thread's; not held, for it waits for the other ranks
    check(Nccl::loaded().ncclCommInitRank(&communicator_, ranks, unique, rank), "ncclCommInitRank");
  }
  ~NcclSums() override {
    if (communicator_) Nccl::loaded().ncclCommDestroy(communicator_);  // which lets begun sums end
    cudaEventDestroy(ready_);
    cudaEventDestroy(done_);
  }

  void add(float* x, std::size_t count) override { add(x, count, ncclFloat32); }
  void add(double* x, std::size_t count) override { add(x, count, ncclFloat64); }

  void finish() override {
    const auto guard = context_.use();
    ncclResult_t error = ncclSuccess;
    check(Nccl::loaded().ncclCommGetAsyncError(communicator_, &error), "ncclCommGetAsyncError");
    check(error, "ncclAllReduce");
    HANDGRAD_CUDA(cudaEventRecord(done_, stream_));
    HANDGRAD_CUDA(cudaStreamWaitEvent(context_.stream(), done_, 0));
  }
  void abort() noexcept override {
    if (communicator_) Nccl::loaded().ncclCommAbort(communicator_);
    communicator_ = nullptr;
  }

 private:
  void add(void* x, std::size_t count, ncclDataType_t type) {
    {
      const auto guard = context_.use();
      context_.recorder().leave("gradients are summed with other devices within the step");
      HANDGRAD_CUDA(cudaEventRecord(ready_, context_.stream()));
      HANDGRAD_CUDA(cudaStreamWaitEvent(stream_, ready_, 0));
    }
    check(Nccl::loaded().ncclAllReduce(x, x, count, type, ncclSum, communicator_, stream_), "ncclAllReduce");
  }

  Context& context_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t ready_ = nullptr, done_ = nullptr;
  ncclComm_t communicator_ = nullptr;
};

}  // namespace

std::string new_nccl_id() {
  ncclUniqueId id{};
  check(Nccl::loaded().ncclGetUniqueId(&id), "ncclGetUniqueId");
  return std::string(reinterpret_cast<const char*>(&id), sizeof id);
}

std::unique_ptr<RankSums> make_nccl_sums(Context& context, const std::string& id, int rank, int ranks) {
  return std::make_unique<NcclSums>(context, id, rank, ranks);
}

}  // namespace handgrad::kernels::cuda

#endif
