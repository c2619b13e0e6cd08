#pragma once
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The arrays of a NumPy .npz file by name, as written by `numpy.savez` and `numpy.savez_compressed`:
///
///     const Npz mnist("mnist.npz");
///     auto x = mnist.read("x_train"), y = mnist.read("y_train");   // (60000, 28, 28) and (60000)
///
/// The format is a ZIP archive of .npy files, stored or deflated. Arrays are unpacked only when read, so that an
/// unreadable one (of Python objects) does not block the others.
///
/// Throws IoError if the file cannot be read, and ParseError, naming it, if it is not such an archive: truncated,
/// damaged, encrypted, packed in another way, or with a repeated name.
class Npz {
 public:
  explicit Npz(const std::string& path);

  /// In the archive's order.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  /// The array of this name, converted to T (see read_npy). Throws ValueError if there is none, listing the names, and
  /// ParseError if its bytes are damaged or it is no array of numbers. Never takes more memory than its packed bytes
  /// can yield.
  template <class T = float>
  Tensor<T> read(const std::string& name) const;

 private:
  struct Entry {
    std::string name;    // without .npy
    std::size_t at = 0;  // offset of its header in the file
    std::size_t packed = 0, size = 0;
    unsigned method = 0, checksum = 0;
    std::string stored_name;
  };
  std::string unpack(const Entry& entry) const;

  std::string path_, bytes_;
  std::vector<Entry> entries_;
};

}  // namespace handgrad
