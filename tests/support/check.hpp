#pragma once
// Checks that report the worst element in one line, with its place in the reference.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad::test {

/// |a − b| / max(1, |b|); 0 for two equal infinities or two NaN, ∞ for a NaN against a number.
inline double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double d = std::abs(a - b) / std::max(1.0, std::abs(b));
  return std::isnan(d) ? INFINITY : d;
}

/// A single error, naming the worst element, if any distance exceeds the tolerance.
template <class A, class B>
void check_close(const std::vector<A>& actual, const std::vector<B>& expected, double tolerance,
                 const std::string& what) {
  BOOST_TEST_REQUIRE(actual.size() == expected.size(), what);
  double worst = -1;
  std::size_t at = 0;
  for (std::size_t i = 0; i < actual.size(); ++i)
    if (const double d = distance(double(actual[i]), double(expected[i])); d > worst) worst = d, at = i;
  if (worst <= tolerance) {
    BOOST_TEST(true);
    return;
  }
  std::ostringstream message;
  message.precision(17);
  message << what << ": element " << at << " is " << actual[at] << ", expected " << expected[at] << " (distance "
          << worst << ", allowed " << tolerance << ")";
  BOOST_ERROR(message.str());
}

template <class T, class R>
void check_close(const Tensor<T>& actual, const Tensor<R>& expected, double tolerance, const std::string& what) {
  BOOST_TEST_REQUIRE((actual.shape() == expected.shape()),
                     what << ": shape " << actual.shape().str() << ", expected " << expected.shape().str());
  check_close(actual.to_vector(), expected.to_vector(), tolerance, what);
}

/// `call` must throw exactly an `Error` whose message contains each of the texts.
template <class Error, class F>
void check_throws(F&& call, std::initializer_list<const char*> texts) {
  try {
    call();
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const char* text : texts)
      BOOST_TEST((message.find(text) != std::string::npos),
                 "the message \"" << message << "\" lacks \"" << text << "\"");
    return;
  } catch (const std::exception& error) {
    BOOST_ERROR("another kind of error came: " << error.what());
    return;
  }
  BOOST_ERROR("no error came, expected one that says \"" << (texts.size() ? *texts.begin() : "") << "\"");
}

}  // namespace handgrad::test
