#pragma once
/// Gradient checks as one line of a Boost.Test case; include after <boost/test/unit_test.hpp>:
///
///     BOOST_AUTO_TEST_CASE(gradients_of_my_layer) {
///       MyLayer<double> layer(3, 7);
///       HANDGRAD_CHECK_GRADIENTS(layer, handgrad::randn<double>({5, 3}));
///     }
///
/// Takes the arguments of check_gradients: (layer, x), (loss, p, t) or (network, loss, x, t), and options. Anything but
/// a pass fails the case and prints the report.
#include "handgrad/check/gradcheck.hpp"

#define HANDGRAD_CHECK_GRADIENTS(...)                                      \
  do {                                                                     \
    const auto handgrad_report = ::handgrad::check_gradients(__VA_ARGS__); \
    BOOST_CHECK_MESSAGE(handgrad_report.passed(), handgrad_report);        \
  } while (false)
