#include "handgrad/containers/tie.hpp"

namespace handgrad {

template <class T>
void tie(Parameter<T>& parameter, const Parameter<T>& other) {
  if (!(parameter.shape() == other.shape()))
    throw ShapeError("tie: a parameter of shape " + parameter.shape().str() + " and one of shape " +
                     other.shape().str());
  parameter.tie(other);
}

template <class T>
void tie(Layer<T>& layer, const Layer<T>& other) {
  auto own = layer.named_parameters(), others = other.named_parameters();
  const auto names = [](const auto& parameters) {
    std::string text;
    for (const auto& [name, parameter] : parameters) text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? "none" : text;
  };
  if (names(own) != names(others))
    throw ValueError("tie: a layer with parameters " + names(own) + " and one with " + names(others));
  for (std::size_t i = 0; i < own.size(); ++i) tie(own[i].second, others[i].second);
}

template void tie(Parameter<float>&, const Parameter<float>&);
template void tie(Parameter<double>&, const Parameter<double>&);
template void tie(Layer<float>&, const Layer<float>&);
template void tie(Layer<double>&, const Layer<double>&);

}  // namespace handgrad
