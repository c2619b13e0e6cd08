// safetensors files.
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include "bind.hpp"
#include "function.hpp"
#include "handgrad/io/safetensors.hpp"

namespace handgrad::python {

namespace {

template <class T>
nb::tuple load(const std::string& path) {
  const Safetensors<T> file = read_safetensors<T>(path);
  nb::dict tensors;
  for (const auto& [name, tensor] : file.tensors) {
    const nb::object array = nb::cast(viewed(tensor));
    const auto larger = file.shapes.find(name);  // of more than 4 dimensions
    if (larger == file.shapes.end()) {
      tensors[name.c_str()] = array;
      continue;
    }
    nb::list sizes;
    for (const std::size_t size : larger->second) sizes.append(size);
    tensors[name.c_str()] = array.attr("reshape")(nb::tuple(sizes));
  }
  return nb::make_tuple(tensors, file.metadata);
}

template <class T>
void save(const std::string& path, const nb::dict& given, const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor<T>> tensors;
  for (const auto& [name, array] : given)
    tensors.emplace_back(nb::cast<std::string>(name), borrowed(nb::cast<ConstArray<T>>(array)));
  write_safetensors(path, tensors, metadata);
}

template <class T>
void bind(nb::module_& m, const std::string& type) {
  m.def(("load_" + type).c_str(), &load<T>, nb::arg("path"));
  m.def(("save_" + type).c_str(), &save<T>, nb::arg("path"), nb::arg("tensors"), nb::arg("metadata"));
  m.def(("save_layer_" + type).c_str(),
        [](const std::string& path, const Layer<T>& layer, const std::map<std::string, std::string>& metadata) {
          write_safetensors(path, layer.state_dict(), metadata);
        },
        nb::arg("path"), nb::arg("layer"), nb::arg("metadata"));
  m.def(("load_layer_" + type).c_str(),
        [](const std::string& path, Layer<T>& layer, bool strict) {
          layer.load_state_dict(read_safetensors<T>(path).tensors, strict);
        },
        nb::arg("path"), nb::arg("layer"), nb::arg("strict"));
}

}  // namespace

void bind_files(nb::module_& m) {
  bind<float>(m, "float32");
  bind<double>(m, "float64");
}

}  // namespace handgrad::python
