#include "support/reference.hpp"

#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace handgrad::test {

namespace {
using nlohmann::json;
const json& of(const void* node) { return *static_cast<const json*>(node); }
}  // namespace

Reference Reference::file(const std::string& name) {
  static std::map<std::string, std::unique_ptr<json>> files;
  std::unique_ptr<json>& content = files[name];
  if (!content) {
    const std::string from = path(name + ".json");
    std::ifstream in(from);
    if (!in) throw std::runtime_error("cannot read " + from);
    content = std::make_unique<json>(json::parse(in));
  }
  return {content.get(), name};
}

std::string Reference::path(const std::string& name) {
  const char* elsewhere = std::getenv("HANDGRAD_TEST_REFERENCE");  // for a build copied to another machine
  return std::string(elsewhere ? elsewhere : HANDGRAD_TEST_REFERENCE_DIR) + "/" + name;
}

void Reference::missing(const std::string& what) const {
  throw std::runtime_error("reference " + place_ + ": " + what);
}

Reference Reference::operator[](const char* key) const {
  if (!of(json_).is_object() || !of(json_).contains(key)) missing(std::string("no ") + key);
  return {&of(json_).at(key), place_ + "." + key};
}

Reference Reference::operator[](std::size_t index) const {
  if (!of(json_).is_array() || index >= size()) missing("no element " + std::to_string(index));
  return {&of(json_).at(index), place_ + "[" + std::to_string(index) + "]"};
}

bool Reference::contains(const char* key) const { return of(json_).contains(key) && !of(json_).at(key).is_null(); }
bool Reference::is_null(const char* key) const { return of(json_).contains(key) && of(json_).at(key).is_null(); }
std::size_t Reference::size() const { return of(json_).size(); }

std::vector<std::string> Reference::keys() const {
  std::vector<std::string> keys;
  for (const auto& item : of(json_).items()) keys.push_back(item.key());
  return keys;
}

double Reference::number() const {
  const json& value = of(json_);
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  missing("no number");
}

double Reference::number(const char* key, double otherwise) const {
  return contains(key) ? (*this)[key].number() : otherwise;
}

bool Reference::flag(const char* key, bool otherwise) const {
  return contains(key) ? of(json_).at(key).get<bool>() : otherwise;
}

std::string Reference::text() const { return of(json_).get<std::string>(); }

std::vector<double> Reference::numbers() const {
  std::vector<double> numbers;
  for (const Reference& element : *this) numbers.push_back(element.number());
  return numbers;
}

std::vector<std::size_t> Reference::indices() const { return of(json_).get<std::vector<std::size_t>>(); }

template <class T>
Tensor<T> Reference::tensor() const {
  const std::vector<std::size_t> sizes = (*this)["shape"].indices();
  const std::vector<double> numbers = (*this)["data"].numbers();
  return Tensor<T>(Shape(sizes.begin(), sizes.end()), std::vector<T>(numbers.begin(), numbers.end()));
}

std::string Reference::where() const {
  std::string text = of(json_).dump();
  if (text.size() > 160) text.replace(157, std::string::npos, "...");
  return place_ + " " + text;
}

template Tensor<float> Reference::tensor() const;
template Tensor<double> Reference::tensor() const;

}  // namespace handgrad::test
