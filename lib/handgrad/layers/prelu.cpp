#include "handgrad/layers/prelu.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// z along its channels; with one slope, all elements are one channel.
template <class T>
static kernels::Lines<const T> channels(const Tensor<T>& z, const Parameter<T>& slopes) {
  if (slopes.numel() == 1) return {z.data(), 1, 1, z.numel()};
  return view::lines(z, 1);
}

template <class T>
void PReLU<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // y = z for z > 0, else a_c·z
  backend<T>(z.device()).activations.prelu_forward(channels(z, weight), view::vector(weight), view::vector(y));
}

template <class T>
void PReLU<T>::backward_into(const Tensor<T>& z, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dz) {
  // da_c = Σ δ·min(z, 0),  dz = δ for z > 0, else a_c·δ
  backend<T>(z.device())
      .activations.prelu_backward(channels(z, weight), view::vector(weight), view::vector(dy),
                                  this->requires_input_grad() ? view::vector(dz) : kernels::Vector<T>{},
                                  view::gradient(weight));
}

template <class T>
PReLU<T>::PReLU(std::size_t num_parameters, double init) {
  if (num_parameters == 0) throw ValueError("PReLU: num_parameters = 0, at least one slope expected");
  weight = this->register_parameter("weight", full<T>({num_parameters}, static_cast<T>(init)));
}

template <class T>
Shape PReLU<T>::output_shape(const Shape& input) const {
  const std::size_t slopes = weight.numel();
  if (slopes > 1 && (input.rank() < 2 || input[1] != slopes))
    throw ShapeError("an input with " + std::to_string(slopes) +
                     " channels in its second dimension expected, one of shape " + input.str() + " came");
  return input;
}

template <class T>
void PReLU<T>::kink_sides(const Tensor<T>& z, std::vector<bool>& sides) const {
  for (const T v : z.to_vector()) sides.push_back(v > T(0));
}

template <class T>
std::string PReLU<T>::extra_repr() const {
  return "num_parameters=" + std::to_string(weight.numel());
}

template <class T>
trace::Derivation PReLU<T>::derivation(const Shape& input) const {
  using trace::Why;
  const Why kinked{"Below 0 the line goes on with a slope a that is learned."};
  const Why learned{"a is in y of every element below 0, with the factor z: so each of them adds δ·z."};
  const Why slope{"δ times the slope of the piece on which z lies: 1 or a."};
  trace::Derivation d{.rename = {{"x", "z"}, {"weight", "a"}}};
  if (weight.numel() == 1) {
    d.forward = {{"y = if(z > 0, z, a·z)", kinked}};
    d.backward = {{"da = Σ δ∘min(z, 0)", "da = sum(i: δ[i]·min(z[i], 0))", learned}, {"dz = δ∘if(z > 0, 1, a)", slope}};
    return d;
  }
  const std::string places[] = {"", "", "[n,c]", "[n,c,l]", "[n,c,i,j]"};
  const std::string at = places[input.rank()];
  std::string sum = "δ" + at + "·min(z" + at + ", 0)";
  for (const char* index : {"j", "i", "l", "n"})
    if (at.find(index) != std::string::npos) sum = std::string("sum(") + index + ": " + sum + ")";
  d.forward.emplace_back("y = if(z > 0, z, a∘z)", "y" + at + " = if(z" + at + " > 0, z" + at + ", a[c]·z" + at + ")",
                         kinked);
  d.backward.emplace_back("da = Σ δ∘min(z, 0)", "da[c] = " + sum, learned);
  d.backward.emplace_back("dz = δ∘if(z > 0, 1, a)", "dz" + at + " = δ" + at + "·if(z" + at + " > 0, 1, a[c])", slope);
  return d;
}

template class PReLU<float>;
template class PReLU<double>;

}  // namespace handgrad
