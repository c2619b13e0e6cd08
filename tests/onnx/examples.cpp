// Writes each network of networks.hpp and lab_networks.hpp as NAME.onnx into a folder, with an input and its output as
// NAME.x.npy and NAME.y.npy, for runtime.py.
#include <filesystem>
#include <iostream>

#include "handgrad/onnx/onnx.hpp"
#include "onnx/lab_networks.hpp"
#include "onnx/networks.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "usage: onnx_examples FOLDER\n", 2;
  const std::filesystem::path folder(argv[1]);
  std::filesystem::create_directories(folder);
  auto networks = handgrad::test::onnx_networks<float>();
  for (auto& network : handgrad::test::lab_networks<float>()) networks.push_back(std::move(network));
  for (auto& [name, net, x, batch_dimension] : networks) {
    const auto place = [&, &name = name](const char* end) { return (folder / (name + end)).string(); };
    handgrad::Shape example = x.shape();
    example[batch_dimension] = 1;  // the file takes any size there
    handgrad::write_onnx(place(".onnx"), net, example, {.batch_dimension = batch_dimension});
    handgrad::write_npy(place(".x.npy"), x);
    handgrad::write_npy(place(".y.npy"), net.forward(x));
  }
}
