// ONNX files: what is written reads back as the same network; PyTorch's files; clear errors for anything else.
// runtime.py compares with other runtimes.
#include "handgrad/onnx/onnx.hpp"

#include <filesystem>
#include <fstream>
#include <functional>

#include "handgrad/io/files.hpp"
#include "handgrad/onnx/graph.hpp"
#include "onnx/networks.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

struct File {
  File()
      : path((std::filesystem::temp_directory_path() / ("handgrad_onnx_" + std::to_string(::getpid()) + ".onnx"))
                 .string()) {}
  ~File() { std::filesystem::remove(path); }
  const std::string path;
};

using Types = std::tuple<float, double>;

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_written_is_read, T, Types) {
  const File file;
  for (auto& [name, net, x, batch_dimension] : test::onnx_networks<T>()) BOOST_TEST_CONTEXT(name) {
      write_onnx(file.path, net, x.shape(), {.batch_dimension = batch_dimension});
      Sequential<T> back = read_onnx<T>(file.path);
      back.eval();
      const Tensor<T> y = net.forward(x);
      check_close(back.forward(x), y, std::is_same_v<T, float> ? 1e-6 : 1e-12, "y");
      BOOST_TEST(back.parameter_count() >= net.parameter_count());  // a norm without weights reads back with ones
      // to train further: the same gradients
      const Tensor<T> dy = randn<T>(y.shape());
      net.zero_grad();
      net.backward(dy);
      back.backward(dy);
      double sum = 0, other = 0;
      for (auto& parameter : net.parameters()) sum += xt::sum(xt::square(parameter.grad().xt()))();
      for (auto& parameter : back.parameters()) other += xt::sum(xt::square(parameter.grad().xt()))();
      if (name != "norms" && name != "plane_norms") BOOST_TEST(sum == other, boost::test_tools::tolerance(1e-3));
    }
}

BOOST_AUTO_TEST_CASE(the_network_keeps_its_form) {
  const File file;
  for (auto& [name, net, x, batch_dimension] : test::onnx_networks<float>())
    if (name == "branches" || name == "lenet" || name == "perceptron") {
      write_onnx(file.path, net, x.shape());
      std::ostringstream before, after;
      before << net;
      after << read_onnx(file.path);
      if (name == "perceptron") {  // dropout is left out
        BOOST_TEST(after.str().find("(1): ReLU()\n  (2): Linear(") != std::string::npos, after.str());
      } else {
        BOOST_TEST(before.str() == after.str());
      }
    } else if (name == "shared") {
      write_onnx(file.path, net, x.shape());
      BOOST_TEST(read_onnx(file.path).parameter_count() == net.parameter_count());
    }
}

BOOST_AUTO_TEST_CASE(files_of_pytorch_are_read) {
  const File file;
  for (const Reference& c : Reference::file("onnx")["cases"]) {
    const std::string hex = c["file"].text();
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    write_file(file.path, bytes);
    BOOST_TEST_CONTEXT(c["name"].text()) {
      auto net = read_onnx<double>(file.path);
      net.eval();
      check_close(net.forward(c["x"].tensor<double>()), c["y"].tensor<double>(), 1e-6, "y");
    }
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_named) {
  const File file;
  struct Own : Identity<float> {
    std::string name() const override { return "Own"; }
  };
  struct Other : Layer<float> {
    void forward_into(const Tensor<float>& x, Tensor<float>& y) override { y.copy_from(x); }
    void backward_into(const Tensor<float>&, const Tensor<float>&, const Tensor<float>& dy,
                       Tensor<float>& dx) override {
      dx.copy_from(dy);
    }
  };
  Sequential<float> net{Linear(2, 3)};
  auto inner = std::make_shared<Sequential<float>>();
  inner->push_back(std::make_shared<Other>());
  net.push_back(inner);
  check_throws<ValueError>(
      [&] {
        write_onnx(file.path, net, {1, 2});
      },
      {"write_onnx: 1.0 Other()", "none of the layers"});
  check_throws<ShapeError>([&] { write_onnx(file.path, net, {1, 5}); }, {"Sequential[0]", "5 columns, 2 expected"});
  check_throws<ValueError>([&] { write_onnx(file.path, net, {1, 2}, {.batch_dimension = 2}); }, {"batch_dimension"});
  Sequential<float> batch{BatchNorm1d(3, {.track_running_stats = false})};
  check_throws<ValueError>([&] { write_onnx(file.path, batch, {2, 3}); }, {"0 BatchNorm1d", "track_running_stats"});
  Sequential<float> planes{Conv2d(1, 2, 3)};
  check_throws<ValueError>([&] { write_onnx(file.path, planes, {1, 5, 5}); }, {"(1, 5, 5)", "(2, 5, 5)", "no batch"});
  BOOST_TEST(!std::filesystem::exists(file.path));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_named) {
  const File file;
  check_throws<IoError>([&] { read_onnx("/nowhere/net.onnx"); }, {"/nowhere/net.onnx"});
  write_file(file.path, "no such thing");
  check_throws<ParseError>([&] { read_onnx(file.path); }, {file.path.c_str(), "no ONNX file"});

  Sequential<float> net{Linear(2, 3), Tanh(), Linear(3, 1)};
  write_onnx(file.path, net, {1, 2});
  const std::string bytes = read_file(file.path);
  const auto changed = [&](auto&& change) {
    onnx::ModelProto model;
    model.ParseFromString(bytes);
    change(*model.mutable_graph());
    write_file(file.path, model.SerializeAsString());
  };
  changed([](auto& graph) { graph.mutable_node(1)->set_op_type("Atan"); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"node '1' (Atan)", "no operator that is known"});
  changed([](auto& graph) { graph.mutable_node(0)->set_input(0, "2"); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"node '0' (Gemm)", "'2'", "nothing before"});
  changed([](auto& graph) { graph.mutable_initializer(0)->set_raw_data("abcd"); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"'0.weight'", "1 elements", "(3, 2)"});
  changed([](auto& graph) { graph.mutable_initializer(0)->set_dims(0, 1ll << 62); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"'0.weight'"});
  changed([](auto& graph) { graph.mutable_initializer(0)->set_data_type(onnx::TensorProto::STRING); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"'0.weight'", "type"});
  changed([](auto& graph) { graph.mutable_node(1)->set_op_type("Add"), graph.mutable_node(1)->add_input("0"); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"node '1' (Add)", "itself"});
  changed([](auto& graph) {  // a tanh in both branches of a sum
    graph.mutable_node()->RemoveLast();
    detail::add_node(*graph.mutable_node(), "a", "Add", {"0", "1"});
    detail::add_node(*graph.mutable_node(), "b", "Add", {"a", "1"});
    graph.mutable_output(0)->set_name("b");
  });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {file.path.c_str(), "the same Tanh() twice"});
  changed([](auto& graph) { graph.add_output()->set_name("1"); });
  check_throws<ParseError>([&] { read_onnx(file.path); }, {"2 outputs"});
  // Whatever byte is lost or changed: one of our errors, or a network.
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    for (const std::string& hurt : {bytes.substr(0, i), [&] {
                                      std::string other = bytes;
                                      other[i] = static_cast<char>(other[i] ^ 0x41);
                                      return other;
                                    }()}) {
      write_file(file.path, hurt);
      try {
        read_onnx(file.path);
      } catch (const Error&) {
      }
    }
  }
}

// Read or refused: neither the graph's length nor its depth may overflow the stack.
BOOST_AUTO_TEST_CASE(long_graphs_do_not_overflow_the_stack) {
  const File file;
  Sequential<float> net{ReLU()};
  write_onnx(file.path, net, {2, 3});
  onnx::ModelProto model;
  model.ParseFromString(read_file(file.path));
  const auto read = [&](const std::function<void(onnx::GraphProto&)>& fill) {
    onnx::ModelProto changed = model;
    onnx::GraphProto& graph = *changed.mutable_graph();
    graph.clear_node();
    fill(graph);
    graph.mutable_output(0)->set_name("v" + std::to_string(graph.node_size()));
    write_file(file.path, changed.SerializeAsString());
    try {
      read_onnx(file.path);
    } catch (const ParseError&) {
    }
  };
  const auto before = [](std::size_t i) { return i == 0 ? std::string("x") : "v" + std::to_string(i); };
  const auto chain = [&](const std::string& type, std::size_t fork) {
    read([&](onnx::GraphProto& graph) {
      for (std::size_t i = 0; i < 10000; ++i) {
        std::vector<std::string> inputs{before(i)};
        if (fork > 0 && i > 0 && i % fork == 0) inputs.push_back(before(fork == 1 ? 0 : i - 1));
        detail::add_node(*graph.mutable_node(), before(i + 1), inputs.size() > 1 ? "Add" : type, inputs);
      }
    });
  };
  BOOST_TEST(model.graph().input(0).name() == "x");
  for (const char* type : {"Relu", "Flatten", "GlobalAveragePool"})
    for (const std::size_t fork : {0, 1, 2, 3}) chain(type, fork);
}
