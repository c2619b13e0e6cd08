// The counter-based generator against the known answers that its authors publish with Random123.
#include <boost/test/unit_test.hpp>

#include "kernels/formulas/random.hpp"

using handgrad::formulas::philox;
using handgrad::formulas::Words;

namespace {
void check(const Words& counter, std::uint32_t k0, std::uint32_t k1, const Words& expected) {
  const Words words = philox(counter, k0, k1);
  for (int i = 0; i < 4; ++i) BOOST_TEST(words.word[i] == expected.word[i]);
}
}  // namespace

BOOST_AUTO_TEST_CASE(philox4x32_10_known_answers) {
  check({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
        {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}
