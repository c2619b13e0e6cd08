// The counter-based generator against the known answers published with Random123 by its authors.
#include <boost/test/unit_test.hpp>

#include "kernels/formulas/random.hpp"

using handgrad::formulas::philox;
using handgrad::formulas::Words;

namespace {
template <int rounds>
void check(const Words& counter, std::uint32_t k0, std::uint32_t k1, const Words& expected) {
  const Words words = philox<rounds>(counter, k0, k1);
  for (int i = 0; i < 4; ++i) BOOST_TEST(words.word[i] == expected.word[i]);
}
}  // namespace

BOOST_AUTO_TEST_CASE(philox4x32_known_answers) {
  check<10>({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check<10>({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
            {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check<10>({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
            {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
  check<7>({{0, 0, 0, 0}}, 0, 0, {{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}});
  check<7>({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
           {{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662}});
  check<7>({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
           {{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}});
}
