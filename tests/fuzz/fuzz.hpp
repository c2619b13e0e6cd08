#pragma once
// Shared by the harnesses: a file in memory with the fuzzer's bytes, and what must hold for any of them. A reader
// returns, or throws one of our Errors naming the file; anything else, including a sanitizer's report, is a crash.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "handgrad/base/errors.hpp"

namespace handgrad::fuzz {

class MemoryFile {
 public:
  MemoryFile() : file_(memfd_create("fuzz", 0)), path_("/proc/self/fd/" + std::to_string(file_)) {}
  void fill(const std::uint8_t* data, std::size_t size) const {
    if (ftruncate(file_, 0) != 0 || pwrite(file_, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  }
  const std::string& path() const { return path_; }

 private:
  int file_;
  std::string path_;
};

template <class Read>
int check(const std::uint8_t* data, std::size_t size, Read read) {
  static const MemoryFile file;
  file.fill(data, size);
  try {
    read(file.path());
  } catch (const Error& error) {
    if (std::string(error.what()).find(file.path()) != std::string::npos) return 0;
    std::fprintf(stderr, "the message does not name the file: %s\n", error.what());
    std::abort();
  }
  return 0;
}

}  // namespace handgrad::fuzz

#define HANDGRAD_FUZZ_READER(read)                                                    \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    return handgrad::fuzz::check(data, size, read);                                   \
  }
