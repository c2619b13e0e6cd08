#pragma once
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The arrays of a NumPy .npz file by name, as `numpy.savez` and `numpy.savez_compressed` write them:
///
///     const Npz mnist("mnist.npz");
///     auto x = mnist.read("x_train"), y = mnist.read("y_train");   // (60000, 28, 28) and (60000)
///
/// The format is a ZIP archive of .npy files, stored or deflated. An array is unpacked when it is read, so that one
/// which cannot be (of Python objects) does not stand in the way of the others.
///
/// Throws IoError when the file cannot be read and ParseError, with its name, when it is no such archive: cut short,
/// damaged, encrypted, packed in another way, or with one name twice.
class Npz {
 public:
  explicit Npz(const std::string& path);

  /// In the archive's order.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  /// The array of this name, converted to T (see read_npy). Throws ValueError when there is none, naming those there
  /// are, and ParseError when its bytes are damaged or it is no array of numbers. No more memory is taken than its
  /// packed bytes can give.
  template <class T = float>
  Tensor<T> read(const std::string& name) const;

 private:
  struct Entry {
    std::string name;    // without .npy
    std::size_t at = 0;  // of its own header in the file
    std::size_t packed = 0, size = 0;
    unsigned method = 0, checksum = 0;
    std::string stored_name;
  };
  std::string unpack(const Entry& entry) const;

  std::string path_, bytes_;
  std::vector<Entry> entries_;
};

}  // namespace handgrad
