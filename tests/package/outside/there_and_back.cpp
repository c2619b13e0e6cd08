// Writes a network to an ONNX file and reads it back.
#include <handgrad/handgrad.hpp>
#include <handgrad/onnx/onnx.hpp>
#include <iostream>

namespace hg = handgrad;

int main() {
  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};
  hg::write_onnx("net.onnx", net, {1, 2});
  hg::Sequential<float> back = hg::read_onnx("net.onnx");
  const hg::Tensor<float> x{{0, 1}, {1, 1}};
  std::cout << back << '\n' << back.forward(x) << '\n';
  return back.forward(x) == net.forward(x) ? 0 : 1;
}
