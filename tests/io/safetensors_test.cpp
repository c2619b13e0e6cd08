// safetensors files: writing, reading, errors.
#include "handgrad/io/safetensors.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "handgrad/containers/sequential.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;
using namespace std::string_literals;

namespace {

std::string file_of(std::string header, const std::string& elements) {
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  return length + header + elements;
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const TemporaryFolder folder;
  std::vector<NamedTensor<double>> tensors;
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{0}, Shape{3, 5}, Shape{2, 0, 3}, Shape{2, 3, 4, 5}}) {
    auto x = Tensor<double>::empty(shape);
    for (std::size_t i = 0; i < x.numel(); ++i) x.data()[i] = 0.1 * static_cast<double>(i) - 1;
    tensors.emplace_back("x " + shape.str() + " \"ж\"", x);
  }
  const std::map<std::string, std::string> metadata{{"epoch", "7"}, {"quote \" and \n line", "\\ ж"}};
  write_safetensors(folder / "x.safetensors", tensors, metadata);
  const auto read = read_safetensors<double>(folder / "x.safetensors");
  BOOST_TEST((read.metadata == metadata));
  BOOST_TEST_REQUIRE(read.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i)
    for (const auto& [name, tensor] : read.tensors)
      if (name == tensors[i].first) BOOST_TEST((tensor == tensors[i].second), name);

  write_safetensors<float>(folder / "empty", {});
  BOOST_TEST(read_safetensors<float>(folder / "empty").tensors.empty());
}

BOOST_AUTO_TEST_CASE(the_bytes_are_the_formats) {
  const TemporaryFolder folder;
  write_safetensors<float>(folder / "a", {{"w", Tensor<float>{{1, 2}}}, {"b", Tensor<float>({}, {0.5f})}});
  std::string header =
      R"({"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  BOOST_TEST(read_file(folder / "a") == file_of(header, "\0\0\x80\x3F\0\0\0\x40\0\0\0\x3F"s));
}

BOOST_AUTO_TEST_CASE(all_types_are_read) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& dtype, const std::string& element) {
    const std::string header = "{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":[1],\"data_offsets\":[0," +
                               std::to_string(element.size()) + "]}}";
    return read_safetensors<double>(folder.file("x", file_of(header, element))).tensors.at(0).second.item();
  };
  BOOST_TEST(read("F64", "\0\0\0\0\0\0\xF8\x3F"s) == 1.5);
  BOOST_TEST(read("F32", "\0\0\xC0\xBF"s) == -1.5);
  BOOST_TEST(read("BF16", "\xC0\xBF"s) == -1.5);
  BOOST_TEST(read("F16", "\0\xBE"s) == -1.5);
  BOOST_TEST(read("F16", "\xFF\x7B"s) == 65504);
  BOOST_TEST(read("F16", "\x01\0"s) == std::ldexp(1.0, -24));
  BOOST_TEST(read("F16", "\xFF\x03"s) == std::ldexp(1023.0, -24));
  BOOST_TEST(read("F16", "\0\x7C"s) == std::numeric_limits<double>::infinity());
  BOOST_TEST(std::isnan(read("F16", "\x01\x7C"s)));
  BOOST_TEST(read("I64", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s) == -2);
  BOOST_TEST(read("I32", "\xFE\xFF\xFF\xFF"s) == -2);
  BOOST_TEST(read("I16", "\xFE\xFF"s) == -2);
  BOOST_TEST(read("I8", "\xFE"s) == -2);
  BOOST_TEST(read("U8", "\xFE"s) == 254);
  BOOST_TEST(read("U16", "\xFE\xFF"s) == 65534);
  BOOST_TEST(read("U32", "\xFE\xFF\xFF\xFF"s) == 4294967294.0);
  BOOST_TEST(read("U64", "\x01\0\0\0\0\0\0\0"s) == 1);
  BOOST_TEST(read("BOOL", "\x01"s) == 1);
  check_throws<ParseError>([&] { read("F8_E4M3", "\x01"s); }, {"F8_E4M3"});
}

BOOST_AUTO_TEST_CASE(a_network_goes_out_and_comes_back) {
  const TemporaryFolder folder;
  Sequential net{Linear(3, 5), BatchNorm1d(5)}, other{Linear(3, 5), BatchNorm1d(5)};
  net.forward(Tensor<float>{{1, 2, 3}, {4, 5, 7}});
  write_safetensors(folder / "net", net.state_dict());
  other.load_state_dict(read_safetensors<float>(folder / "net").tensors);
  const auto a = net.state_dict(), b = other.state_dict();
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST((a[i].second == b[i].second), a[i].first);
  BOOST_TEST(a.back().first == "1.num_batches_tracked");
}

BOOST_AUTO_TEST_CASE(what_the_format_does_not_allow_is_refused) {
  const TemporaryFolder folder;
  const std::string four = "\0\0\x80\x3F"s;
  const auto refused = [&](const std::string& header, const std::string& elements,
                           std::initializer_list<const char*> texts) {
    const std::string path = folder.file("bad", file_of(header, elements));
    check_throws<ParseError>([&] { read_safetensors<float>(path); }, texts);
  };
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return "{\"w\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
  };
  refused("[]", "", {"bad", "object"});
  refused("{", "", {"bad", "JSON"});
  refused(std::string(100000, '['), "", {"JSON"});
  refused(one("[1]", "[0,8]"), four, {"w", "0 to 8", "4 bytes"});
  refused(one("[1]", "[4,0]"), four, {"w", "4 to 0"});
  refused(one("[2]", "[0,4]"), four, {"w", "(2,)", "4 bytes"});
  refused(one("[1]", "[0,3]"), four.substr(0, 3), {"w", "3 bytes"});
  refused(one("[-1]", "[0,4]"), four, {"w", "whole numbers"});
  refused(one("[1.5]", "[0,4]"), four, {"w", "whole numbers"});
  refused(one("[1]", "[0]"), four, {"w", "two data_offsets"});
  refused(one("[1,1,1,1,2]", "[0,4]"), four, {"w", "(1, 1, 1, 1, 2)", "fit"});
  refused(one("[4294967296,4294967296]", "[0,4]"), four, {"w", "fit"});
  refused(one("[9223372036854775808,2]", "[0,4]"), four, {"w", "fit"});
  refused(one("[1]", "[4,8]"), four + four, {"w", "4 of the elements", "0 expected"});
  refused(one("[1]", "[0,4]"), four + four, {"4 bytes", "8 bytes"});
  refused(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      four, {"overlap"});
  const std::string w = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  refused("{" + w + "," + w + "}", four, {"\"w\"", "twice"});
  refused("{" + w + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},)" + w + "}", four + four,
          {"\"w\"", "twice"});
  refused(R"({"__metadata__":{"a":"1","a":"2"}})", "", {"\"a\"", "twice"});
  refused(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"dtype":"F32"}})", four, {"\"dtype\"", "twice"});
  refused(R"({"__metadata__":{"a":1}})", "", {"__metadata__"});
  refused(R"({"w":3})", "", {"w", "dtype"});
  const std::string huge = folder.file("huge", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}"s);
  check_throws<ParseError>([&] { read_safetensors<float>(huge); }, {"huge", "announced"});
  check_throws<IoError>([&] { read_safetensors<float>(folder / "missing"); }, {"missing"});
  const Tensor<float> x{1};
  check_throws<ValueError>([&] { write_safetensors<float>(folder / "x", {{"w", x}, {"w", x}}); }, {"w", "taken"});
  check_throws<ValueError>([&] { write_safetensors<float>(folder / "x", {{"\xFF", x}}); }, {"UTF-8"});
}

BOOST_AUTO_TEST_CASE(damaged_files_give_errors) {
  const TemporaryFolder folder;
  write_safetensors<float>(folder / "a", {{"w", Tensor<float>{{1, 2}}}, {"b", Tensor<float>{3}}}, {{"k", "v"}});
  const std::string content = read_file(folder / "a");
  const auto read = [](const std::string& path) { read_safetensors<float>(path); };
  handgrad::test::check_truncations(folder, content, read);
  handgrad::test::check_damage(folder, content, read);
}

// A three-dimensional convolution's weights do not block the rest of the file.
BOOST_AUTO_TEST_CASE(more_than_four_dimensions_are_kept_in_one_row) {
  const TemporaryFolder folder;
  const std::string path =
      folder.file("conv", file_of(R"({"conv":{"dtype":"F32","shape":[1,2,1,1,1],"data_offsets":[0,8]},)"
                                  R"("b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
                                  "\0\0\x80\x3F\0\0\0\x40\x07"s));
  const auto file = read_safetensors<float>(path);
  BOOST_TEST_REQUIRE(file.tensors.size() == 2u);
  BOOST_TEST((file.tensors[0].second == Tensor<float>{1, 2}));
  BOOST_TEST((file.tensors[1].second == Tensor<float>{7}));
  BOOST_TEST(file.shapes.size() == 1u);
  BOOST_TEST(file.shapes.at("conv") == (std::vector<std::size_t>{1, 2, 1, 1, 1}), boost::test_tools::per_element());
  BOOST_TEST((read_safetensors<float>(path, "b") == Tensor<float>{7}));
  check_throws<ParseError>([&] { read_safetensors<float>(path, "conv"); },
                           {"conv", "5 dimensions", "(1, 2, 1, 1, 1)", "at most 4"});
  check_throws<ValueError>([&] { read_safetensors<float>(path, "c"); }, {"no tensor c", "conv, b"});
  // A tensor read by name does not need the others to be readable.
  const std::string strange = folder.file("f8", file_of(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]},)"
                                                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                        "12"));
  BOOST_TEST(read_safetensors<float>(strange, "b").item() == '2');
  check_throws<ParseError>([&] { read_safetensors<float>(strange, "a"); }, {"F8_E4M3"});
}

// As written by PyTorch before it counted batches (0.4).
BOOST_AUTO_TEST_CASE(weights_without_the_batch_counter_are_loaded) {
  const TemporaryFolder folder;
  Sequential net{Linear(3, 5), BatchNorm1d(5)}, other{Linear(3, 5), BatchNorm1d(5)};
  for (auto* each : {&net, &other}) each->forward(Tensor<float>{{1, 2, 3}, {4, 5, 7}});
  auto state = net.state_dict();
  state.pop_back();
  write_safetensors(folder / "net", state);
  other.load_state_dict(read_safetensors<float>(folder / "net").tensors);
  const auto loaded = other.state_dict();
  for (std::size_t i = 0; i < state.size(); ++i) BOOST_TEST((loaded[i].second == state[i].second), state[i].first);
  BOOST_TEST(loaded.back().second.item() == 0);
  state.pop_back();
  check_throws<ValueError>([&] { other.load_state_dict(state); }, {"missing 1.running_var"});
}

// An int64 as in PyTorch, exact where a float is not.
BOOST_AUTO_TEST_CASE(the_batch_counter_is_an_int64) {
  const TemporaryFolder folder;
  Sequential net{Linear(1, 1), BatchNorm1d(1)};
  for (const double count : {0.0, 7.0, 16777217.0, 123456789012345.0}) {
    auto counter = net.named_counters().at(0).second;
    counter.value().fill(count);
    write_safetensors(folder / "net", net.state_dict());
    const std::string content = read_file(folder / "net");
    BOOST_TEST(content.find(R"("1.num_batches_tracked":{"dtype":"I64","shape":[],)") != std::string::npos, content);
    std::int64_t written = 0;
    std::memcpy(&written, content.data() + content.size() - 8, 8);
    BOOST_TEST(written == static_cast<std::int64_t>(count));
    Sequential other{Linear(1, 1), BatchNorm1d(1)};
    other.load_state_dict(read_safetensors<float>(folder / "net").tensors);
    BOOST_TEST(other.named_counters().at(0).second.value().item() == count);
    BOOST_TEST(read_safetensors<double>(folder / "net", "1.num_batches_tracked").item() == count);
  }
}
