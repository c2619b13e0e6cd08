#include "support/factory.hpp"

#include <stdexcept>

#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/embedding.hpp"
#include "handgrad/layers/flatten.hpp"
#include "handgrad/layers/group_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/multihead_attention.hpp"
#include "handgrad/layers/pooling.hpp"
#include "handgrad/layers/positional_encoding.hpp"
#include "handgrad/layers/prelu.hpp"
#include "handgrad/layers/recurrent.hpp"
#include "handgrad/layers/rms_norm.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/layers/transformer_encoder_layer.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/kl_div.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/adadelta.hpp"
#include "handgrad/optim/adagrad.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/lion.hpp"
#include "handgrad/optim/muon.hpp"
#include "handgrad/optim/nadam.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/sgd.hpp"

namespace handgrad::test {

namespace {

Size2d size_2d(const Reference& args, const char* key, std::size_t otherwise) {
  if (!args.contains(key)) return otherwise;
  const std::vector<std::size_t> sizes = args[key].indices();
  return {sizes.at(0), sizes.at(1)};
}

/// Convolutions and pooling; null for anything else.
template <class T>
std::shared_ptr<Layer<T>> windowed_layer(const std::string& name, const Reference& args) {
  const auto size = [&](const char* key, double otherwise) {
    return static_cast<std::size_t>(args.number(key, otherwise));
  };
  const auto stride = [&]() -> std::optional<Size2d> {
    return args.contains("stride") ? std::optional(size_2d(args, "stride", 1)) : std::nullopt;
  };
  const auto stride_1d = [&]() -> std::optional<std::size_t> {
    return args.contains("stride") ? std::optional(size("stride", 1)) : std::nullopt;
  };
  const bool same = args.flag("same", false), bias = args.flag("bias", true), ceil = args.flag("ceil_mode", false);
  if (name == "Conv2d") {
    Conv2dOptions o{.stride = size_2d(args, "stride", 1),
                    .dilation = size_2d(args, "dilation", 1),
                    .groups = size("groups", 1),
                    .bias = bias};
    const Size2d padding = size_2d(args, "padding", 0);
    o.padding = same ? Padding2d("same") : Padding2d(padding.height, padding.width);
    return std::make_shared<Conv2d<T>>(size("in_channels", 0), size("out_channels", 0), size_2d(args, "kernel_size", 1),
                                       o);
  }
  if (name == "Conv1d") {
    Conv1dOptions o{
        .stride = size("stride", 1), .dilation = size("dilation", 1), .groups = size("groups", 1), .bias = bias};
    o.padding = same ? Padding2d("same") : Padding2d(size("padding", 0));
    return std::make_shared<Conv1d<T>>(size("in_channels", 0), size("out_channels", 0), size("kernel_size", 1), o);
  }
  if (name == "ConvTranspose2d")
    return std::make_shared<ConvTranspose2d<T>>(
        size("in_channels", 0), size("out_channels", 0), size_2d(args, "kernel_size", 1),
        ConvTranspose2dOptions{.stride = size_2d(args, "stride", 1),
                               .padding = size_2d(args, "padding", 0),
                               .output_padding = size_2d(args, "output_padding", 0),
                               .groups = size("groups", 1),
                               .bias = bias,
                               .dilation = size_2d(args, "dilation", 1)});
  if (name == "MaxPool2d")
    return std::make_shared<MaxPool2d<T>>(size_2d(args, "kernel_size", 1),
                                          MaxPool2dOptions{.stride = stride(),
                                                           .padding = size_2d(args, "padding", 0),
                                                           .dilation = size_2d(args, "dilation", 1),
                                                           .ceil_mode = ceil});
  if (name == "MaxPool1d")
    return std::make_shared<MaxPool1d<T>>(
        size("kernel_size", 1),
        MaxPool1dOptions{
            .stride = stride_1d(), .padding = size("padding", 0), .dilation = size("dilation", 1), .ceil_mode = ceil});
  const bool counts = args.flag("count_include_pad", true);
  if (name == "AvgPool2d") {
    AvgPool2dOptions o{
        .stride = stride(), .padding = size_2d(args, "padding", 0), .ceil_mode = ceil, .count_include_pad = counts};
    if (args.contains("divisor_override")) o.divisor_override = size("divisor_override", 0);
    return std::make_shared<AvgPool2d<T>>(size_2d(args, "kernel_size", 1), o);
  }
  if (name == "AvgPool1d")
    return std::make_shared<AvgPool1d<T>>(
        size("kernel_size", 1),
        AvgPool1dOptions{
            .stride = stride_1d(), .padding = size("padding", 0), .ceil_mode = ceil, .count_include_pad = counts});
  if (name == "AdaptiveAvgPool2d") return std::make_shared<AdaptiveAvgPool2d<T>>(size_2d(args, "output_size", 1));
  return nullptr;
}

/// What goes over sequences; null for any other.
template <class T>
std::shared_ptr<Layer<T>> sequence_layer(const std::string& name, const Reference& args) {
  const auto size = [&](const char* key) { return static_cast<std::size_t>(args[key].number()); };
  const bool first = args.flag("batch_first", false), bias = args.flag("bias", true),
             causal = args.flag("is_causal", false);
  if (name == "Embedding") {
    EmbeddingOptions options;
    if (args.contains("padding_idx")) options.padding_idx = static_cast<std::int64_t>(args["padding_idx"].number());
    return std::make_shared<Embedding<T>>(size("num_embeddings"), size("embedding_dim"), options);
  }
  if (name == "PositionalEncoding")
    return std::make_shared<PositionalEncoding<T>>(
        size("d_model"), PositionalEncodingOptions{.dropout = 0, .max_len = size("max_len"), .batch_first = first});
  if (name == "MultiheadAttention")
    return std::make_shared<MultiheadAttention<T>>(
        size("embed_dim"), size("num_heads"),
        MultiheadAttentionOptions{.bias = bias, .batch_first = first, .is_causal = causal});
  if (name == "TransformerEncoderLayer")
    return std::make_shared<TransformerEncoderLayer<T>>(
        size("d_model"), size("nhead"),
        TransformerEncoderLayerOptions{.dim_feedforward = size("dim_feedforward"),
                                       .dropout = 0,
                                       .activation = args["activation"].text(),
                                       .batch_first = first,
                                       .norm_first = args.flag("norm_first", false),
                                       .bias = bias,
                                       .is_causal = causal});
  if (name != "RNN" && name != "LSTM" && name != "GRU") return nullptr;
  const RecurrentOptions o{.num_layers = size("num_layers"),
                           .bias = bias,
                           .batch_first = first,
                           .bidirectional = args.flag("bidirectional", false),
                           .output = args.flag("last", false) ? Steps::Last : Steps::All};
  if (name == "LSTM") return std::make_shared<LSTM<T>>(size("input_size"), size("hidden_size"), o);
  if (name == "GRU") return std::make_shared<GRU<T>>(size("input_size"), size("hidden_size"), o);
  const std::string nonlinearity = args.contains("nonlinearity") ? args["nonlinearity"].text() : "tanh";
  return std::make_shared<RNN<T>>(
      size("input_size"), size("hidden_size"),
      RNNOptions{o.num_layers, nonlinearity, o.bias, o.batch_first, o.dropout, o.bidirectional, o.output});
}

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
  if (name == "Hardtanh") return std::make_shared<Hardtanh<T>>(args.number("min_val", -1), args.number("max_val", 1));
  if (name == "Hardsigmoid") return std::make_shared<Hardsigmoid<T>>();
  if (name == "Hardswish") return std::make_shared<Hardswish<T>>();
  if (name == "LogSigmoid") return std::make_shared<LogSigmoid<T>>();
  if (name == "Softsign") return std::make_shared<Softsign<T>>();
  if (name == "Mish") return std::make_shared<Mish<T>>();
  if (name == "PReLU") return std::make_shared<PReLU<T>>(static_cast<std::size_t>(args.number("num_parameters", 1)));
  if (name == "Softmax") return std::make_shared<Softmax<T>>(static_cast<int>(args["dim"].number()));
  if (name == "LogSoftmax") return std::make_shared<LogSoftmax<T>>(static_cast<int>(args["dim"].number()));
  if (name == "Dropout") return std::make_shared<Dropout<T>>(args["p"].number());
  if (name == "Dropout2d") return std::make_shared<Dropout2d<T>>(args["p"].number());
  if (name == "GroupNorm")
    return std::make_shared<GroupNorm<T>>(size("num_groups"), size("num_channels"),
                                          GroupNormOptions{args.number("eps", 1e-5), args.flag("affine", true)});
  if (name == "RMSNorm") {
    const std::vector<std::size_t> shape = args["normalized_shape"].indices();
    RMSNormOptions options{.elementwise_affine = args.flag("elementwise_affine", true)};
    if (args.contains("eps")) options.eps = args["eps"].number();
    return std::make_shared<RMSNorm<T>>(Shape(shape.begin(), shape.end()), options);
  }
  if (name == "BatchNorm1d" || name == "BatchNorm2d") {
    BatchNormOptions options{.eps = args.number("eps", 1e-5),
                             .momentum = args.number("momentum", 0.1),
                             .affine = args.flag("affine", true),
                             .track_running_stats = args.flag("track_running_stats", true)};
    if (args.is_null("momentum")) options.momentum.reset();
    if (name == "BatchNorm2d") return std::make_shared<BatchNorm2d<T>>(size("num_features"), options);
    return std::make_shared<BatchNorm1d<T>>(size("num_features"), options);
  }
  if (name == "LayerNorm") {
    const std::vector<std::size_t> shape = args["normalized_shape"].indices();
    return std::make_shared<LayerNorm<T>>(Shape(shape.begin(), shape.end()),
                                          LayerNormOptions{.eps = args.number("eps", 1e-5),
                                                           .elementwise_affine = args.flag("elementwise_affine", true),
                                                           .bias = args.flag("bias", true)});
  }
  if (name == "Flatten") return std::make_shared<Flatten<T>>();
  if (name == "Unflatten") {
    const std::vector<std::size_t> sizes = args["unflattened_size"].indices();
    return std::make_shared<Unflatten<T>>(static_cast<int>(args["dim"].number()), Shape(sizes.begin(), sizes.end()));
  }
  if (auto layer = windowed_layer<T>(name, args)) return layer;
  if (auto layer = sequence_layer<T>(name, args)) return layer;
  throw std::runtime_error("no layer " + name);
}

Reduction reduction(const std::string& name) {
  return name == "mean" ? Reduction::Mean : name == "sum" ? Reduction::Sum : Reduction::None;
}

/// Sets those fields that the options have.
template <class Options>
void read(const Reference& from, Options& o) {
  if constexpr (requires { o.betas; })
    if (from.contains("betas")) o.betas = {from["betas"][0].number(), from["betas"][1].number()};
  if constexpr (requires { o.eps; }) o.eps = from.number("eps", o.eps);
  if constexpr (requires { o.amsgrad; }) o.amsgrad = from.flag("amsgrad", o.amsgrad);
  if constexpr (requires { o.momentum; }) o.momentum = from.number("momentum", o.momentum);
  if constexpr (requires { o.nesterov; }) o.nesterov = from.flag("nesterov", o.nesterov);
  if constexpr (requires { o.alpha; }) o.alpha = from.number("alpha", o.alpha);
  if constexpr (requires { o.centered; }) o.centered = from.flag("centered", o.centered);
  if constexpr (requires { o.rho; }) o.rho = from.number("rho", o.rho);
  if constexpr (requires { o.lr_decay; }) o.lr_decay = from.number("lr_decay", o.lr_decay);
  if constexpr (requires { o.initial_accumulator_value; })
    o.initial_accumulator_value = from.number("initial_accumulator_value", o.initial_accumulator_value);
  if constexpr (requires { o.momentum_decay; }) o.momentum_decay = from.number("momentum_decay", o.momentum_decay);
  if constexpr (requires { o.decoupled_weight_decay; })
    o.decoupled_weight_decay = from.flag("decoupled_weight_decay", o.decoupled_weight_decay);
  if constexpr (requires { o.ns_steps; }) {
    o.ns_steps = static_cast<int>(from.number("ns_steps", o.ns_steps));
    if (from.contains("adjust_lr_fn") && from["adjust_lr_fn"].text() == "match_rms_adamw")
      o.adjust_lr_fn = MuonOptions::AdjustLr::MatchRmsAdamW;
  }
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
  if (name == "Adagrad") return optimizer_with<Adagrad<T>>(description, std::move(parameters), AdagradOptions{});
  if (name == "Adadelta") return optimizer_with<Adadelta<T>>(description, std::move(parameters), AdadeltaOptions{});
  if (name == "NAdam") return optimizer_with<NAdam<T>>(description, std::move(parameters), NAdamOptions{});
  if (name == "Lion") return optimizer_with<Lion<T>>(description, std::move(parameters), LionOptions{});
  if (name == "Muon") return optimizer_with<Muon<T>>(description, std::move(parameters), MuonOptions{});
  throw std::runtime_error("no optimizer " + name);
}

std::vector<Reference> layer_cases() {
  std::vector<Reference> cases;
  for (const char* file : {"layers", "convolution", "activations", "norms"})
    for (const Reference c : Reference::file(file)["cases"]) cases.push_back(c);
  return cases;
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
  const auto number = [&](const char* key, double otherwise) {
    return description.contains("options") ? description["options"].number(key, otherwise) : otherwise;
  };
  const auto flag = [&](const char* key) {
    return description.contains("options") && description["options"].flag(key, false);
  };
  if (name == "HuberLoss") return std::make_unique<HuberLoss<T>>(HuberLossOptions{number("delta", 1), how});
  if (name == "SmoothL1Loss") return std::make_unique<SmoothL1Loss<T>>(SmoothL1LossOptions{how, number("beta", 1)});
  if (name == "KLDivLoss")
    return std::make_unique<KLDivLoss<T>>(KLDivLossOptions{how, flag("log_target"), flag("batchmean")});
  const auto ignored = static_cast<std::int64_t>(number("ignore_index", -100));
  if (name == "CrossEntropyLoss")
    return std::make_unique<CrossEntropyLoss<T>>(
        CrossEntropyLossOptions<T>{weight("weight"), ignored, how, number("label_smoothing", 0)});
  const ClassLossOptions<T> options{weight("weight"), ignored, how};
  if (name == "NLLLoss") return std::make_unique<NLLLoss<T>>(options);
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
