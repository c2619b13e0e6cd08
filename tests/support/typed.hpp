#pragma once
// Tests over {CPU, CUDA} × {float, double}:
//
//     HANDGRAD_TEST_EVERYWHERE(linear_agrees) {
//       using T = typename Place::T;
//       Tensor<T> x = Tensor<T>{1, 2}.to(Place::device());
//       …
//
// Where there is no CUDA, its instances are skipped by name, with the reason.
#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "handgrad/base/device.hpp"

namespace handgrad::test {

template <class Number, bool cuda>
struct Where {
  using T = Number;
  static Device device() { return cuda ? Device::cuda() : Device::cpu(); }
  /// How closely a result must agree with a reference in double.
  static constexpr double tolerance = std::is_same_v<Number, double> ? 1e-12 : 1e-5;
};
struct CPUFloat : Where<float, false> {};
struct CPUDouble : Where<double, false> {};
struct CUDAFloat : Where<float, true> {};
struct CUDADouble : Where<double, true> {};
using Everywhere = boost::mp11::mp_list<CPUFloat, CPUDouble, CUDAFloat, CUDADouble>;
using EverywhereInDouble = boost::mp11::mp_list<CPUDouble, CUDADouble>;
using OnCUDA = boost::mp11::mp_list<CUDAFloat, CUDADouble>;

/// A precondition: CUDA is present, or the test does not need it. If HANDGRAD_TEST_CUDA_NEEDED is set, a test that
/// lacks a device fails instead of being skipped.
inline boost::test_tools::assertion_result device_present(boost::unit_test::test_unit_id id) {
  const std::string name = boost::unit_test::framework::get(id, boost::unit_test::TUT_ANY).p_name;
  boost::test_tools::assertion_result result(name.find("CUDA") == std::string::npos || cuda_available() ||
                                             std::getenv("HANDGRAD_TEST_CUDA_NEEDED"));
  if (!result) {
    result.message() << cuda_unavailable_reason();
    BOOST_TEST_MESSAGE("skipped: " << name << ": " << cuda_unavailable_reason());
  }
  return result;
}

}  // namespace handgrad::test

#define HANDGRAD_TEST_EVERYWHERE(name)                                                  \
  BOOST_TEST_DECORATOR(*boost::unit_test::precondition(handgrad::test::device_present)) \
  BOOST_AUTO_TEST_CASE_TEMPLATE(name, Place, handgrad::test::Everywhere)

/// For tests in double only: gradient checks.
#define HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(name)                                        \
  BOOST_TEST_DECORATOR(*boost::unit_test::precondition(handgrad::test::device_present)) \
  BOOST_AUTO_TEST_CASE_TEMPLATE(name, Place, handgrad::test::EverywhereInDouble)

/// For tests of a GPU alone, or against the CPU.
#define HANDGRAD_TEST_CUDA(name)                                                        \
  BOOST_TEST_DECORATOR(*boost::unit_test::precondition(handgrad::test::device_present)) \
  BOOST_AUTO_TEST_CASE_TEMPLATE(name, Place, handgrad::test::OnCUDA)
