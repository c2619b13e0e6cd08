#pragma once
#include <stdexcept>
#include <string>

namespace handgrad {

/// Base of all errors that handgrad throws. The message says what was expected, what came, and where; a container that
/// passes an error on puts its own place in front (`Sequential[2] Linear(16 → 1): input has 4 columns, …`).
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message), message_(message) {}
  const char* what() const noexcept override { return message_.c_str(); }
  /// Puts before the message where it happened.
  void prepend(const std::string& place) { message_.insert(0, place); }

 private:
  std::string message_;
};

/// A tensor's rank or sizes are not those that the operation is defined for.
class ShapeError : public Error {
  using Error::Error;
};
/// A tensor is on the wrong device, or a device cannot be used.
class DeviceError : public Error {
  using Error::Error;
};
/// An argument or an element is out of range (a class index, a probability, a rate).
class ValueError : public Error {
  using Error::Error;
};
/// Calls came out of order: a backward before any forward, a gradient that was never asked for.
class StateError : public Error {
  using Error::Error;
};
/// A file does not follow its format; the message names file, line and column or offset.
class ParseError : public Error {
  using Error::Error;
};
/// A file cannot be opened, read or written.
class IoError : public Error {
  using Error::Error;
};

}  // namespace handgrad
