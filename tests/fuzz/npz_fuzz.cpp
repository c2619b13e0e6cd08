#include "handgrad/io/npz.hpp"

#include "fuzz/fuzz.hpp"

static void read_and_use(const std::string& path) {
  const handgrad::Npz npz(path);
  for (const std::string& name : npz.names()) {
    try {
      npz.read(name);
    } catch (const handgrad::ParseError&) {  // others may still be readable
    }
  }
}
HANDGRAD_FUZZ_READER(read_and_use)
