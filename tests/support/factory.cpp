#include "support/factory.hpp"

#include <stdexcept>

#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/sgd.hpp"

namespace handgrad::test {

namespace {

template <class T>
std::shared_ptr<Layer<T>> bare_layer(const std::string& name, const Reference& args) {
  const auto size = [&](const char* key) { return static_cast<std::size_t>(args[key].number()); };
  if (name == "Linear")
    return std::make_shared<Linear<T>>(size("in_features"), size("out_features"), args.flag("bias", true));
  if (name == "Identity") return std::make_shared<Identity<T>>();
  if (name == "Threshold") return std::make_shared<Threshold<T>>();
  if (name == "Sigmoid") return std::make_shared<Sigmoid<T>>();
  if (name == "Tanh") return std::make_shared<Tanh<T>>();
  if (name == "ReLU") return std::make_shared<ReLU<T>>();
  if (name == "LeakyReLU") return std::make_shared<LeakyReLU<T>>(args["negative_slope"].number());
  if (name == "ELU") return std::make_shared<ELU<T>>(args["alpha"].number());
  if (name == "GELU") return std::make_shared<GELU<T>>(args["approximate"].text());
  if (name == "SiLU") return std::make_shared<SiLU<T>>();
  if (name == "Softplus") return std::make_shared<Softplus<T>>(args["beta"].number(), args["threshold"].number());
  if (name == "Softmax") return std::make_shared<Softmax<T>>(static_cast<int>(args["dim"].number()));
  if (name == "LogSoftmax") return std::make_shared<LogSoftmax<T>>(static_cast<int>(args["dim"].number()));
  if (name == "Dropout") return std::make_shared<Dropout<T>>(args["p"].number());
  if (name == "BatchNorm1d") {
    BatchNormOptions options{.eps = args.number("eps", 1e-5),
                             .momentum = args.number("momentum", 0.1),
                             .affine = args.flag("affine", true),
                             .track_running_stats = args.flag("track_running_stats", true)};
    if (args.is_null("momentum")) options.momentum.reset();
    return std::make_shared<BatchNorm1d<T>>(size("num_features"), options);
  }
  if (name == "LayerNorm") {
    const std::vector<std::size_t> shape = args["normalized_shape"].indices();
    return std::make_shared<LayerNorm<T>>(Shape(shape.begin(), shape.end()),
                                          LayerNormOptions{.eps = args.number("eps", 1e-5),
                                                           .elementwise_affine = args.flag("elementwise_affine", true),
                                                           .bias = args.flag("bias", true)});
  }
  throw std::runtime_error("no layer " + name);
}

Reduction reduction(const std::string& name) {
  return name == "mean" ? Reduction::Mean : name == "sum" ? Reduction::Sum : Reduction::None;
}

void read(const Reference& from, SGDOptions& o) {
  o.momentum = from.number("momentum", o.momentum);
  o.nesterov = from.flag("nesterov", o.nesterov);
}
template <class Options>
requires requires(Options o) { o.betas; }
void read(const Reference& from, Options& o) {
  if (from.contains("betas")) o.betas = {from["betas"][0].number(), from["betas"][1].number()};
  o.eps = from.number("eps", o.eps);
}
void read(const Reference& from, RMSpropOptions& o) {
  o.alpha = from.number("alpha", o.alpha);
  o.eps = from.number("eps", o.eps);
  o.momentum = from.number("momentum", o.momentum);
  o.centered = from.flag("centered", o.centered);
}

template <class O, class T, class Options>
std::unique_ptr<Optimizer<T>> optimizer_with(const Reference& description, std::vector<Parameter<T>> parameters,
                                             Options options) {
  const auto add = [&](const Reference& from, Options& o) {
    o.lr = from.number("lr", o.lr);
    o.weight_decay = from.number("weight_decay", o.weight_decay);
    read(from, o);
  };
  add(description["options"], options);
  if (!description.contains("bias_options")) return std::make_unique<O>(std::move(parameters), options);
  Options for_bias = options;
  add(description["bias_options"], for_bias);
  return std::make_unique<O>(
      std::vector<ParameterGroup<T, Options>>{{{parameters.at(0)}, options}, {{parameters.at(1)}, for_bias}});
}

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_optimizer(const Reference& description, std::vector<Parameter<T>> parameters) {
  const std::string name = description["optimizer"].text();
  if (name == "SGD") return optimizer_with<SGD<T>>(description, std::move(parameters), SGDOptions{});
  if (name == "Adam") return optimizer_with<Adam<T>>(description, std::move(parameters), AdamOptions{});
  if (name == "AdamW") return optimizer_with<AdamW<T>>(description, std::move(parameters), AdamWOptions{});
  if (name == "RMSprop") return optimizer_with<RMSprop<T>>(description, std::move(parameters), RMSpropOptions{});
  throw std::runtime_error("no optimizer " + name);
}

template <class T>
std::shared_ptr<Layer<T>> make_layer(const Reference& description, Device device) {
  std::shared_ptr<Layer<T>> layer = bare_layer<T>(description["layer"].text(), description["args"]);
  if (description.contains("parameters"))
    for (auto& [name, parameter] : layer->named_parameters())
      parameter.value().copy_from(description["parameters"][name.c_str()].template tensor<T>());
  layer->to(device);
  return layer;
}

template <class T>
std::unique_ptr<Loss<T>> make_loss(const Reference& description, Device device) {
  const std::string name = description["loss"].text();
  const Reduction how =
      description.contains("reduction") ? reduction(description["reduction"].text()) : Reduction::Mean;
  const auto weight = [&](const char* key) {
    return description.contains("weights") && description["weights"].contains(key)
               ? description["weights"][key].template tensor<T>().to(device)
               : Tensor<T>();
  };
  if (name == "MSELoss") return std::make_unique<MSELoss<T>>(how);
  if (name == "L1Loss") return std::make_unique<L1Loss<T>>(how);
  if (name == "BCELoss") return std::make_unique<BCELoss<T>>(how);
  if (name == "BCEWithLogitsLoss")
    return std::make_unique<BCEWithLogitsLoss<T>>(
        BCEWithLogitsLossOptions<T>{.weight = weight("weight"), .pos_weight = weight("pos_weight"), .reduction = how});
  const ClassLossOptions<T> options{.weight = weight("weight"), .reduction = how};
  if (name == "NLLLoss") return std::make_unique<NLLLoss<T>>(options);
  if (name == "CrossEntropyLoss") return std::make_unique<CrossEntropyLoss<T>>(options);
  if (name == "CategoricalCrossEntropyLoss") return std::make_unique<CategoricalCrossEntropyLoss<T>>(options);
  throw std::runtime_error("no loss " + name);
}

template std::shared_ptr<Layer<float>> make_layer(const Reference&, Device);
template std::shared_ptr<Layer<double>> make_layer(const Reference&, Device);
template std::unique_ptr<Loss<float>> make_loss(const Reference&, Device);
template std::unique_ptr<Loss<double>> make_loss(const Reference&, Device);
template std::unique_ptr<Optimizer<float>> make_optimizer(const Reference&, std::vector<Parameter<float>>);
template std::unique_ptr<Optimizer<double>> make_optimizer(const Reference&, std::vector<Parameter<double>>);

}  // namespace handgrad::test
