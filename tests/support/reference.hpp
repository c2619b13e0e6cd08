#pragma once
// Reads tests/reference/NAME.json: values computed by PyTorch, NumPy and scikit-learn.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad::test {

/// A place in a reference file: the whole, or what stands under a key or index. A handle; files are read once and stay
/// in memory. A missing key or index throws std::runtime_error naming the file and the place.
class Reference {
 public:
  static Reference file(const std::string& name);
  /// The path of a file that is not JSON, "lenet.safetensors".
  static std::string path(const std::string& name);

  Reference operator[](const char* key) const;
  Reference operator[](std::size_t index) const;
  Reference operator[](int index) const { return (*this)[static_cast<std::size_t>(index)]; }
  bool contains(const char* key) const;  // and not null
  bool is_null(const char* key) const;   // there, and null
  std::size_t size() const;
  std::vector<std::string> keys() const;

  double number() const;  // also for "nan", "inf", "-inf"
  double number(const char* key, double otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::string text() const;
  std::vector<double> numbers() const;
  std::vector<std::size_t> indices() const;
  /// The tensor of {"shape": …, "data": …}, each element rounded to T.
  template <class T>
  Tensor<T> tensor() const;

  /// The place and its content, shortened, for messages.
  std::string where() const;

  class Iterator {
   public:
    Iterator(const Reference& list, std::size_t i) : list_(&list), i_(i) {}
    Reference operator*() const { return (*list_)[i_]; }
    Iterator& operator++() { return ++i_, *this; }
    bool operator!=(const Iterator& other) const { return i_ != other.i_; }

   private:
    const Reference* list_;
    std::size_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  Reference(const void* json, std::string place) : json_(json), place_(std::move(place)) {}
  [[noreturn]] void missing(const std::string& what) const;
  const void* json_;
  std::string place_;
};

}  // namespace handgrad::test
