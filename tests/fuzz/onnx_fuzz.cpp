#include <onnx/onnx_pb.h>

#include <iterator>
#include <random>
#include <sstream>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "handgrad/onnx/onnx.hpp"

// Networks are read and printed.
static void read_and_use(const std::string& path) {
  const handgrad::Sequential<float> net = handgrad::read_onnx<float>(path);
  std::ostringstream text;
  text << net;
  net.state_dict();
}
HANDGRAD_FUZZ_READER(read_and_use)

// Most bytes of a file are names and numbers: changed one by one they seldom make a graph that is another. So half of
// the changes are made in the graph: operators, who takes what, sizes, attributes.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using Random = std::mt19937;

std::size_t pick(Random& random, std::size_t n) { return random() % n; }
template <class All>
auto& one_of(Random& random, All& all) {
  return *(all.begin() + static_cast<std::ptrdiff_t>(pick(random, static_cast<std::size_t>(all.size()))));
}

std::int64_t number(Random& random) {
  constexpr std::int64_t numbers[] = {0,
                                      -1,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      7,
                                      -2,
                                      1000,
                                      65536,
                                      std::int64_t{1} << 31,
                                      -(1 << 30),
                                      std::int64_t{1} << 32,
                                      std::int64_t{1} << 62,
                                      INT64_MAX,
                                      INT64_MIN};
  return numbers[pick(random, std::size(numbers))];
}

void change_attribute(Random& random, onnx::AttributeProto& attribute) {
  if (attribute.ints_size() > 0 && pick(random, 2))
    *(attribute.mutable_ints()->begin() +
      static_cast<int>(pick(random, static_cast<std::size_t>(attribute.ints_size())))) = number(random);
  else if (pick(random, 4) == 0)
    attribute.add_ints(number(random));
  else if (pick(random, 4) == 0)
    attribute.set_f(static_cast<float>(number(random)));
  else
    attribute.set_i(number(random));
}

void change_tensor(Random& random, onnx::TensorProto& tensor) {
  const std::size_t kind = pick(random, 5);
  if (kind == 0) tensor.add_dims(number(random));
  if (kind == 1 && tensor.dims_size() > 0)
    tensor.set_dims(static_cast<int>(pick(random, static_cast<std::size_t>(tensor.dims_size()))), number(random));
  if (kind == 2 && tensor.dims_size() > 0) tensor.mutable_dims()->RemoveLast();
  if (kind == 3) tensor.set_data_type(static_cast<int>(pick(random, 17)));
  if (kind == 4 && tensor.has_raw_data()) tensor.mutable_raw_data()->resize(pick(random, 65));
}

void change(Random& random, onnx::GraphProto& graph) {
  auto& nodes = *graph.mutable_node();
  if (nodes.empty()) return;
  onnx::NodeProto& node = one_of(random, nodes);
  std::vector<std::string> names{""};
  for (const auto& input : graph.input()) names.push_back(input.name());
  for (const auto& tensor : graph.initializer()) names.push_back(tensor.name());
  for (const auto& other : nodes) names.insert(names.end(), other.output().begin(), other.output().end());
  static const std::vector<std::string> operators{"Identity",
                                                  "Dropout",
                                                  "Cast",
                                                  "Gemm",
                                                  "MatMul",
                                                  "Add",
                                                  "Mul",
                                                  "Concat",
                                                  "Split",
                                                  "Relu",
                                                  "Sigmoid",
                                                  "Clip",
                                                  "PRelu",
                                                  "Softmax",
                                                  "BatchNormalization",
                                                  "LayerNormalization",
                                                  "Flatten",
                                                  "Reshape",
                                                  "Transpose",
                                                  "Conv",
                                                  "ConvTranspose",
                                                  "MaxPool",
                                                  "AveragePool",
                                                  "GlobalAveragePool",
                                                  "Gather",
                                                  "Constant"};
  switch (pick(random, 12)) {
    case 0:
      return node.set_op_type(one_of(random, operators));
    case 1:
      if (node.input_size() > 0) one_of(random, *node.mutable_input()) = one_of(random, names);
      return;
    case 2:
      return node.add_input(one_of(random, names));
    case 3:
      if (node.input_size() > 0) node.mutable_input()->RemoveLast();
      return;
    case 4:
      if (node.output_size() > 0) one_of(random, *node.mutable_output()) = one_of(random, names);
      return;
    case 5:
      return node.add_output(one_of(random, names) + "'");
    case 6: {
      const onnx::NodeProto copy = node;
      onnx::NodeProto& added = *graph.add_node();
      added = copy;
      if (added.output_size() > 0) {
        added.set_output(0, copy.output(0) + "'");
        if (added.input_size() > 0) added.set_input(0, copy.output(0));
        if (graph.output_size() > 0) graph.mutable_output(0)->set_name(added.output(0));
      }
      return;
    }
    case 7:
      if (node.attribute_size() > 0) change_attribute(random, one_of(random, *node.mutable_attribute()));
      return;
    case 8:
      if (node.attribute_size() > 0) node.mutable_attribute()->RemoveLast();
      return;
    case 9:
      if (graph.output_size() > 0) graph.mutable_output(0)->set_name(one_of(random, names));
      return;
    case 10:
      if (graph.input_size() > 0) {
        auto& dims = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim();
        if (dims.empty() || pick(random, 3) == 0)
          dims.Add()->set_dim_value(number(random));
        else
          one_of(random, dims).set_dim_value(number(random));
      }
      return;
    default:
      if (graph.initializer_size() > 0) change_tensor(random, one_of(random, *graph.mutable_initializer()));
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  Random random(seed);
  onnx::ModelProto model;
  if (pick(random, 2) && model.ParseFromArray(data, static_cast<int>(size)) && model.has_graph()) {
    for (std::size_t times = 1 + pick(random, 3); times > 0; --times) change(random, *model.mutable_graph());
    const std::string bytes = model.SerializeAsString();
    if (!bytes.empty() && bytes.size() <= max_size) {
      std::copy(bytes.begin(), bytes.end(), data);
      return bytes.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
