#include "handgrad/onnx/file.hpp"

#include <cmath>
#include <cstring>
#include <set>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::detail {
namespace {

/// A batch size unlike that of any layer, for a size that the file leaves open.
constexpr std::size_t open_size = 7919;
constexpr int most_nodes = 10000;

const onnx::AttributeProto* attribute(const onnx::NodeProto& node, const char* name) {
  for (const auto& one : node.attribute())
    if (one.name() == name) return &one;
  return nullptr;
}

}  // namespace

OnnxFile::OnnxFile(const std::string& path) : path_(path) {
  const std::string bytes = read_file(path);
  if (bytes.empty() || !model_.ParseFromString(bytes) || !model_.has_graph()) fail("is no ONNX file, or is damaged");
  if (model_.graph().node_size() > most_nodes) fail("has more than " + std::to_string(most_nodes) + " nodes");
  find_constants();
  find_input();
  check_order();
  if (model_.graph().output_size() != 1)
    fail("has " + std::to_string(model_.graph().output_size()) + " outputs, one expected");
}

void OnnxFile::find_constants() {
  for (const auto& tensor : model_.graph().initializer()) constants_[tensor.name()] = &tensor;
  for (const Node& node : model_.graph().node()) {
    for (const std::string& output : node.output())
      if (!output.empty() && !producers_.emplace(output, &node).second) fail("two nodes give '" + output + "'");
    if (node.op_type() == "Identity" && node.input_size() == 1 && node.output_size() == 1 &&
        constants_.count(node.input(0)))
      constants_[node.output(0)] = constants_[node.input(0)];
    if (node.op_type() == "Constant" && node.output_size() == 1)
      if (const auto* value = attribute(node, "value")) constants_[node.output(0)] = &value->t();
  }
}

void OnnxFile::find_input() {
  for (const auto& input : model_.graph().input())
    if (!constants_.count(input.name())) {
      if (!input_.empty()) fail("has several inputs, '" + input_ + "' and '" + input.name() + "'; one expected");
      input_ = input.name();
      const auto& sizes = input.type().tensor_type().shape();
      if (sizes.dim_size() > static_cast<int>(Shape::max_rank)) fail("has an input of more than 4 dimensions");
      for (const auto& size : sizes.dim())
        input_shape_.push_back(size.has_dim_value() && size.dim_value() > 0 ? static_cast<std::size_t>(size.dim_value())
                                                                            : open_size);
    }
  if (input_.empty()) fail("has no input");
}

/// In file order no node takes a later value, so there are no cycles.
void OnnxFile::check_order() {
  std::set<std::string> known{input_, ""};
  for (const Node& node : model_.graph().node()) {
    for (const std::string& input : node.input())
      if (!known.count(input) && !constants_.count(input))
        fail(node, "takes '" + input + "', which nothing before gives");
    known.insert(node.output().begin(), node.output().end());
    // Here already, so that no look-up goes deep; a value that does not come from the input fails where it is used.
    try {
      if (!computed(node).empty())
        for (const std::string& output : node.output())
          if (!output.empty()) depth(output);
    } catch (const ParseError&) {
    }
  }
}

const onnx::NodeProto* OnnxFile::find_producer(const std::string& value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : found->second;
}
const onnx::NodeProto& OnnxFile::producer(const std::string& value) const {
  const Node* node = find_producer(value);
  if (!node) fail("nothing gives '" + value + "'");
  return *node;
}

bool OnnxFile::is_constant(const std::string& value) const {
  if (value.empty() || constants_.count(value)) return true;
  const Node* node = find_producer(value);  // x·Wᵀ of a matrix, slopes per channel
  return node && (node->op_type() == "Transpose" || node->op_type() == "Reshape") && node->input_size() > 0 &&
         constants_.count(node->input(0));
}
bool OnnxFile::is_computed(const Node& node, int input) const {
  return input < node.input_size() && !is_constant(node.input(input));
}
std::vector<std::string> OnnxFile::computed(const Node& node) const {
  std::vector<std::string> inputs;
  for (const std::string& input : node.input())
    if (!is_constant(input)) inputs.push_back(input);
  return inputs;
}

std::string OnnxFile::source(const Node& node) const {
  if (const auto found = sources_.find(&node); found != sources_.end()) return found->second;
  const auto inputs = computed(node);
  if (inputs.empty()) fail(node, "takes nothing that is computed");
  std::string fork = inputs[0];
  for (std::size_t i = 1; i < inputs.size(); ++i) fork = common(fork, inputs[i]);
  return sources_[&node] = fork;
}
std::string OnnxFile::common(std::string a, std::string b) const {
  while (a != b) {
    const std::size_t of_a = depth(a), of_b = depth(b);
    if (of_a >= of_b) a = source(producer(a));
    if (of_b >= of_a) b = source(producer(b));
  }
  return a;
}
std::size_t OnnxFile::depth(const std::string& value) const {
  if (value == input_) return 0;
  if (const auto found = depths_.find(value); found != depths_.end()) return found->second;
  return depths_[value] = 1 + depth(source(producer(value)));
}

const onnx::NodeProto* OnnxFile::biased_product(const Node& node) const {
  const auto inputs = computed(node);
  if (!node.domain().empty() || node.op_type() != "Add" || node.input_size() != 2) return nullptr;
  if (inputs.size() != 1 || inputs[0] == input_) return nullptr;
  const Node& product = producer(inputs[0]);
  return product.op_type() == "MatMul" && computed(product).size() == 1 ? &product : nullptr;
}

int OnnxFile::rank(const std::string& value) const {
  const auto found = constants_.find(value);
  return found == constants_.end() ? -1 : found->second->dims_size();
}

template <class T>
Tensor<T> OnnxFile::constant(const Node& node, const std::string& name) const {
  const auto found = constants_.find(name);
  if (found == constants_.end()) fail(node, "takes '" + name + "', which is computed, where numbers are expected");
  const onnx::TensorProto& from = *found->second;
  if (from.data_location() == onnx::TensorProto::EXTERNAL) fail(node, "'" + name + "' lies in another file");
  Shape shape;
  if (from.dims_size() > static_cast<int>(Shape::max_rank)) fail(node, "'" + name + "' has more than 4 dimensions");
  for (const std::int64_t size : from.dims()) {
    if (size < 0) fail(node, "'" + name + "' has a negative size");
    shape.push_back(static_cast<std::size_t>(size));
  }
  std::vector<T> elements;
  const auto take = [&]<class E>(E, const auto& field) {
    if (from.has_raw_data()) {
      const std::string& raw = from.raw_data();
      for (std::size_t i = 0; i + sizeof(E) <= raw.size(); i += sizeof(E)) {
        E element;
        std::memcpy(&element, raw.data() + i, sizeof(E));
        elements.push_back(static_cast<T>(element));
      }
    } else {
      for (const auto element : field) elements.push_back(static_cast<T>(element));
    }
  };
  switch (from.data_type()) {
    case onnx::TensorProto::FLOAT:
      take(float{}, from.float_data());
      break;
    case onnx::TensorProto::DOUBLE:
      take(double{}, from.double_data());
      break;
    case onnx::TensorProto::INT64:
      take(std::int64_t{}, from.int64_data());
      break;
    case onnx::TensorProto::INT32:
      take(std::int32_t{}, from.int32_data());
      break;
    default:
      fail(node, "'" + name + "' is of a type that is not read (" + std::to_string(from.data_type()) + ")");
  }
  std::size_t left = elements.size();  // divided by each size in turn: ends at 1 if they fit
  for (const std::size_t size : shape) left = size > 0 && left % size == 0 ? left / size : 0;
  if (left != 1)
    fail(node, "'" + name + "' has " + std::to_string(elements.size()) + " elements, its shape is " + shape.str());
  return Tensor<T>(shape, elements);
}

template <class T>
Tensor<T> OnnxFile::tensor(const Node& node, int input) const {
  return constant<T>(node, name(node, input));
}
const std::string& OnnxFile::name(const Node& node, int input) const {
  if (input >= node.input_size()) fail(node, "has too few inputs");
  return node.input(input);
}
std::vector<std::int64_t> OnnxFile::integers(const Node& node, int input) const {
  std::vector<std::int64_t> numbers;
  for (const double value : tensor<double>(node, input).to_vector()) {
    if (!(std::abs(value) < 0x1p53)) fail(node, "takes a size that is none");
    numbers.push_back(static_cast<std::int64_t>(value));
  }
  return numbers;
}

std::int64_t OnnxFile::integer(const Node& node, const char* name, std::int64_t otherwise) {
  const auto* found = attribute(node, name);
  return found ? found->i() : otherwise;
}
float OnnxFile::real(const Node& node, const char* name, float otherwise) {
  const auto* found = attribute(node, name);
  return found ? found->f() : otherwise;
}
std::string OnnxFile::text(const Node& node, const char* name, const char* otherwise) {
  const auto* found = attribute(node, name);
  return found ? found->s() : otherwise;
}
std::vector<std::int64_t> OnnxFile::list(const Node& node, const char* name) {
  const auto* found = attribute(node, name);
  return found ? std::vector<std::int64_t>(found->ints().begin(), found->ints().end()) : std::vector<std::int64_t>{};
}

std::string OnnxFile::place(const Node& node) const {
  return path_ + ": node '" + node.name() + "' (" + (node.domain().empty() ? "" : node.domain() + ".") +
         node.op_type() + ") ";
}
void OnnxFile::fail(const std::string& why) const { throw ParseError(path_ + ": " + why); }
void OnnxFile::fail(const Node& node, const std::string& why) const { throw ParseError(place(node) + why); }
void OnnxFile::unknown(const Node& node) const {
  throw ParseError(place(node) + "is no operator that is known: none of the layers here computes it");
}

template Tensor<float> OnnxFile::constant(const Node&, const std::string&) const;
template Tensor<double> OnnxFile::constant(const Node&, const std::string&) const;
template Tensor<float> OnnxFile::tensor(const Node&, int) const;
template Tensor<double> OnnxFile::tensor(const Node&, int) const;

}  // namespace handgrad::detail
