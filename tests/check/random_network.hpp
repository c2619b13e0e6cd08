#pragma once
// Networks drawn from a seed, over all layers, containers and losses, on numbers of any size; and what is to be planted
// in them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "handgrad/handgrad.hpp"

namespace handgrad::test {

/// y = x with dx = factor·δ.
struct Scaled : Layer<double> {
  double factor;
  explicit Scaled(double c) : factor(c) {}
  std::string name() const override { return "Scaled"; }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.copy_from(x); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = factor * dy.data()[i];
  }
};

/// A network with its loss, or none, and what goes in: all of it drawn.
class RandomNetwork {
 public:
  using LayerPtr = std::shared_ptr<Layer<double>>;

  std::vector<LayerPtr> layers;
  std::shared_ptr<Loss<double>> loss;
  Tensor<double> x, y;
  std::string text;
  /// The names of all layers that are in it.
  std::vector<std::string> names;

  explicit RandomNetwork(std::uint64_t seed) : generator_(1000003 * seed + 17) {
    manual_seed(seed);
    begin();
    const std::size_t depth = 1 + pick(5);
    for (std::size_t i = 0; i < depth; ++i) add(any_layer(shape_, 2));
    choose_loss();
    evaluates_ = pick(5) == 0;
    for (const LayerPtr& layer : layers) text += layer->label() + " ", collect(*layer);
    if (loss) text += "| " + loss->name() + " ", names.push_back(loss->name());
    text += "| x " + x.shape().str() + " about " + std::to_string(scale_) + " ± " + std::to_string(spread_);
  }

  /// Whether its output and its loss are finite and within BCELoss's bounds: there is no gradient elsewhere.
  bool finite() {
    Sequential<double> net;
    for (const LayerPtr& layer : layers) net.push_back(layer);
    if (evaluates_) net.eval();
    Tensor<double> out = net.forward(x).clone();
    if (loss) out = loss->forward(out, y).clone();
    const std::vector<double> values = out.to_vector();
    if (dynamic_cast<BCELoss<double>*>(loss.get()))  // whose bounds at 0 and 1 are no derivative's
      for (const double p : net.forward(x).to_vector())
        if (p * (1 - p) < 1e-11) return false;
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  }
  /// As it is, or with a layer before place k (of layers.size() + 1) whose dx is `factor` times what it should be.
  GradientReport check() { return check(layers); }
  GradientReport check(std::size_t k, double factor) {
    std::vector<LayerPtr> planted = layers;
    planted.insert(planted.begin() + static_cast<std::ptrdiff_t>(k), std::make_shared<Scaled>(factor));
    return check(planted);
  }
  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(generator_.random()) % n; }

 private:
  enum class Form { Vectors, Signals, Sequences, Images };

  GradientReport check(const std::vector<LayerPtr>& chain) {
    Sequential<double> net;
    for (const LayerPtr& layer : chain) net.push_back(layer);
    if (evaluates_) net.eval();
    return loss ? check_gradients(net, *loss, x, y) : check_gradients(net, x);
  }

  double uniform(double low, double high) { return low + (high - low) * generator_.uniform<double>(); }
  Tensor<double> normal(const Shape& shape, double mean, double spread) {
    Tensor<double> v = Tensor<double>::empty(shape);
    return normal_(v, mean, spread, generator_);
  }
  Tensor<double> between(const Shape& shape, double low, double high) {
    Tensor<double> v = Tensor<double>::empty(shape);
    return uniform_(v, low, high, generator_);
  }
  void add(const LayerPtr& layer) {
    shape_ = layer->output_shape(shape_);
    layers.push_back(layer);
  }
  void collect(const Layer<double>& layer) {
    names.push_back(layer.name());
    for (const auto& [name, child] : layer.children()) collect(*child);
  }

  // What goes in ------------------------------------------------------------------------------------------------------

  void begin() {
    constexpr double scales[] = {0, 1e-6, 1e-4, 1e-2, 1, 1, 1, 1, 10, 1e3, 1e6, 1e9},
                     spreads[] = {1e-3, 1e-2, 0.1, 1, 1, 1, 1, 10, 100, 1e3};
    scale_ = scales[pick(12)] * (pick(2) ? 1 : -1);
    spread_ = spreads[pick(10)] * (scale_ != 0 && pick(2) ? std::abs(scale_) : 1);
    switch (pick(8)) {
      default:
        form_ = Form::Vectors, shape_ = {2 + pick(6), 2 + pick(6)};
        break;
      case 3:
      case 4:
        form_ = Form::Images, shape_ = {1 + pick(3), 1 + pick(3), 3 + pick(3), 3 + pick(3)};
        break;
      case 5:
        form_ = Form::Signals, shape_ = {1 + pick(3), 1 + pick(4), 4 + pick(6)};
        break;
      case 6:
        form_ = Form::Sequences, shape_ = {1 + pick(3), 2 + pick(3), 2 * (1 + pick(3))};
        break;
      case 7: {
        form_ = Form::Sequences;
        const std::size_t words = 3 + pick(5);
        x = between({1 + pick(3), 2 + pick(3)}, 0, static_cast<double>(words));
        for (std::size_t i = 0; i < x.numel(); ++i) x.data()[i] = std::floor(x.data()[i]);
        const auto embedding = std::make_shared<Embedding<double>>(words, 2 * (1 + pick(3)));
        embedding->weight.value().copy_from(normal(embedding->weight.shape(), scale_, spread_));
        shape_ = x.shape();
        return add(embedding);
      }
    }
    x = normal(shape_, scale_, spread_);
  }

  // Layers ------------------------------------------------------------------------------------------------------------

  template <class L, class... A>
  static LayerPtr make(A&&... arguments) {
    return std::make_shared<L>(std::forward<A>(arguments)...);
  }

  LayerPtr any_layer(const Shape& s, int depth) {
    const std::size_t kind = pick(10);
    if (kind < 3) return activation(s);
    if (kind == 3 && depth > 0) return container(s, depth - 1);
    if (kind == 4) return norm(s);
    switch (form_) {
      case Form::Vectors:
        return of_vectors(s);
      case Form::Signals:
        return of_signals(s);
      case Form::Sequences:
        return of_sequences(s);
      default:
        return of_images(s);
    }
  }

  LayerPtr activation(const Shape& s) {
    switch (pick(22)) {
      case 0:
        return make<ReLU<double>>();
      case 1:
        return make<Tanh<double>>();
      case 2:
        return make<Sigmoid<double>>();
      case 3:
        return make<GELU<double>>("none");
      case 4:
        return make<GELU<double>>("tanh");
      case 5:
        return make<ELU<double>>(uniform(0.3, 2));
      case 6:
        return make<SiLU<double>>();
      case 7:
        return make<Softplus<double>>(uniform(0.5, 2), 20);
      case 8:
        return make<LeakyReLU<double>>(uniform(-0.5, 0.5));
      case 9:
        return make<Hardtanh<double>>(-uniform(0.5, 2), uniform(0.5, 2));
      case 10:
        return make<Hardsigmoid<double>>();
      case 11:
        return make<Hardswish<double>>();
      case 12:
        return make<LogSigmoid<double>>();
      case 13:
        return make<Softsign<double>>();
      case 14:
        return make<Mish<double>>();
      case 15:
        return make<PReLU<double>>(pick(2) || form_ == Form::Sequences ? 1 : s[1], uniform(-0.5, 0.5));
      case 16:
        return make<Softmax<double>>(pick(2) ? -1 : 1);
      case 17:
        return make<LogSoftmax<double>>(pick(2) ? -1 : 1);
      case 18:
        return make<Dropout<double>>(0.3);
      case 19:
        return make<Identity<double>>();
      case 20:
        return pick(4) == 0 ? make<Threshold<double>>() : make<Tanh<double>>();
      default:
        return form_ == Form::Images ? make<Dropout2d<double>>(0.3) : make<ReLU<double>>();
    }
  }

  /// All but sequences have their channels in dimension 1, and there are statistics only of more than one element.
  LayerPtr norm(const Shape& s) {
    const std::size_t last = s[-1], channels = s[1], each = s.numel() / channels;
    const std::size_t kind = pick(4);
    if (kind == 0 && last > 1) return make<LayerNorm<double>>(last);
    if (kind == 1) return make<RMSNorm<double>>(last, RMSNormOptions{.eps = pick(2) ? 1e-5 : 1e-2});
    if (form_ == Form::Sequences) return make<LayerNorm<double>>(last, LayerNormOptions{.bias = pick(2) == 0});
    if (kind == 2 && channels > 1) {
      std::size_t groups = 1 + pick(channels);
      while (channels % groups != 0) --groups;
      if (groups < channels || s.rank() > 2) return make<GroupNorm<double>>(groups, channels);
    }
    if (each < 2) return activation(s);
    const BatchNormOptions options{.affine = pick(4) != 0};
    if (form_ == Form::Images) return make<BatchNorm2d<double>>(channels, options);
    return make<BatchNorm1d<double>>(channels, options);
  }

  LayerPtr of_vectors(const Shape& s) {
    if (s[1] % 4 == 0 && pick(6) == 0) {
      form_ = Form::Images;
      return make<Unflatten<double>>(1, Shape{1, 2, s[1] / 2});
    }
    if (s[1] % 2 == 0 && pick(8) == 0) {
      form_ = Form::Sequences;
      return make<Unflatten<double>>(1, Shape{s[1] / 2, 2});
    }
    return make<Linear<double>>(s[1], 2 + pick(7), pick(4) != 0);
  }

  LayerPtr of_signals(const Shape& s) {
    const std::size_t L = s[2], kind = pick(5);
    if (kind == 0) return flatten();
    if (kind == 1 && L > 2)
      return make<MaxPool1d<double>>(2, MaxPool1dOptions{.stride = 1 + pick(2), .padding = pick(2)});
    if (kind == 2 && L > 2)
      return make<AvgPool1d<double>>(
          2, AvgPool1dOptions{.stride = 1 + pick(2), .padding = pick(2), .count_include_pad = pick(2) == 0});
    const std::size_t groups = s[1] % 2 == 0 && pick(2) ? 2 : 1;
    return make<Conv1d<double>>(
        s[1], groups * (1 + pick(2)), 1 + pick(std::min<std::size_t>(3, L)),
        Conv1dOptions{.stride = 1 + pick(2), .padding = pick(2), .groups = groups, .bias = pick(4) != 0});
  }

  LayerPtr of_images(const Shape& s) {
    const std::size_t H = s[2], W = s[3], kind = pick(8);
    if (kind == 0) return flatten();
    if (kind == 1 && H > 1 && W > 1)
      return make<MaxPool2d<double>>(2, MaxPool2dOptions{.stride = Size2d(1 + pick(2)), .padding = pick(2)});
    if (kind == 2 && H > 1 && W > 1)
      return make<AvgPool2d<double>>(
          2, AvgPool2dOptions{.stride = Size2d(1 + pick(2)), .padding = pick(2), .count_include_pad = pick(2) == 0});
    if (kind == 3) return make<AdaptiveAvgPool2d<double>>(Size2d(1 + pick(H), 1 + pick(W)));
    if (kind == 4 && H * W <= 16)
      return make<ConvTranspose2d<double>>(s[1], 1 + pick(2), Size2d(1 + pick(2), 2),
                                           ConvTranspose2dOptions{.stride = 1 + pick(2), .bias = pick(4) != 0});
    const std::size_t groups = s[1] % 2 == 0 && pick(2) ? 2 : 1;
    const Size2d kernel(1 + pick(std::min<std::size_t>(3, H)), 1 + pick(std::min<std::size_t>(3, W)));
    Conv2dOptions options{.groups = groups, .bias = pick(4) != 0};
    if (pick(3) == 0)
      options.padding = "same";
    else
      options.stride = Size2d(1 + pick(2), 1), options.padding = Padding2d(pick(2), pick(2));
    return make<Conv2d<double>>(s[1], groups * (1 + pick(2)), kernel, options);
  }

  LayerPtr of_sequences(const Shape& s) {
    const std::size_t F = s[2], heads = F % 2 == 0 && pick(2) ? 2 : 1;
    switch (pick(8)) {
      case 0:
        return flatten();
      case 1:
        return make<Linear<double>>(F, 2 * (1 + pick(3)), pick(4) != 0);
      case 2:
        return make<MultiheadAttention<double>>(
            F, heads,
            MultiheadAttentionOptions{
                .dropout = pick(3) ? 0 : 0.3, .bias = pick(3) != 0, .batch_first = true, .is_causal = pick(2) == 0});
      case 3:
        return make<TransformerEncoderLayer<double>>(
            F, heads,
            TransformerEncoderLayerOptions{.dim_feedforward = 2 + pick(4),
                                           .dropout = pick(2) ? 0 : 0.2,
                                           .activation = pick(2) ? "relu" : "gelu",
                                           .batch_first = true,
                                           .norm_first = pick(2) == 0,
                                           .bias = pick(4) != 0,
                                           .is_causal = pick(2) == 0});
      case 4:
        if (F % 2 == 0)
          return make<PositionalEncoding<double>>(
              F, PositionalEncodingOptions{.dropout = pick(2) ? 0 : 0.2, .max_len = 64, .batch_first = true});
        [[fallthrough]];
      default:
        return recurrent(F, 1 + pick(4), pick(3) == 0 ? Steps::Last : Steps::All);
    }
  }
  LayerPtr recurrent(std::size_t in, std::size_t hidden, Steps output) {
    if (output == Steps::Last) form_ = Form::Vectors;
    RecurrentOptions options{.num_layers = 1 + pick(2), .bias = pick(4) != 0, .batch_first = true};
    options.dropout = options.num_layers > 1 && pick(2) ? 0.2 : 0;
    options.bidirectional = pick(3) == 0;
    options.output = output;
    const std::size_t kind = pick(4);
    if (kind == 0) return make<LSTM<double>>(in, hidden, options);
    if (kind == 1) return make<GRU<double>>(in, hidden, options);
    return make<RNN<double>>(in, hidden,
                             RNNOptions{.num_layers = options.num_layers,
                                        .nonlinearity = kind == 2 ? "tanh" : "relu",
                                        .bias = options.bias,
                                        .batch_first = true,
                                        .dropout = options.dropout,
                                        .bidirectional = options.bidirectional,
                                        .output = output});
  }

  LayerPtr flatten() {
    form_ = Form::Vectors;
    return make<Flatten<double>>();
  }

  /// Whose output has the shape of its input.
  LayerPtr keeping(const Shape& s, int depth) {
    const std::size_t kind = pick(4);
    if (kind == 0) return activation(s);
    if (kind == 1) return norm(s);
    if (kind == 2 && depth > 0) return make<Residual<double>>(keeping(s, depth - 1));
    const std::size_t channels = s[1], last = s[-1];
    switch (form_) {
      case Form::Vectors:
        return make<Linear<double>>(last, last);
      case Form::Signals:
        return make<Conv1d<double>>(channels, channels, 1 + pick(3), Conv1dOptions{.padding = "same"});
      case Form::Images:
        return make<Conv2d<double>>(channels, channels, 1 + pick(3), Conv2dOptions{.padding = "same"});
      default:
        if (pick(2)) return make<MultiheadAttention<double>>(last, 1, MultiheadAttentionOptions{.batch_first = true});
        return make<GRU<double>>(last, last, RecurrentOptions{.batch_first = true});
    }
  }

  LayerPtr chain(std::vector<LayerPtr> links) {
    auto net = std::make_shared<Sequential<double>>();
    for (LayerPtr& link : links) net->push_back(std::move(link));
    return net;
  }

  LayerPtr container(const Shape& s, int depth) {
    switch (pick(6)) {
      case 0: {
        const auto residual = std::make_shared<Residual<double>>(keeping(s, depth));
        if (pick(3) == 0) residual->set_shortcut(keeping(s, depth));
        return residual;
      }
      case 1:
        return make<Residual<double>>(chain({keeping(s, depth), keeping(s, depth)}));
      case 2: {
        Concat<double> concat;
        const std::size_t branches = 2 + pick(2);
        for (std::size_t i = 0; i < branches; ++i) concat.push_back(keeping(s, depth));
        const int dim = s.rank() == 2 || pick(2) ? 1 : -1;
        return std::make_shared<Concat<double>>(std::move(concat).dim(dim));
      }
      case 3: {
        const int dim = form_ == Form::Sequences ? -1 : 1;
        const std::size_t all = s[dim];
        if (all < 2) return make<Residual<double>>(keeping(s, depth));
        const std::size_t first = 1 + pick(all - 1);
        Shape left = s, right = s;
        left[dim] = first, right[dim] = all - first;
        std::vector<LayerPtr> branches{keeping(left, depth), keeping(right, depth)};
        return std::make_shared<Split<double>>(
            Split<double>(std::vector<std::size_t>{first, all - first}, branches).dim(dim));
      }
      case 4: {
        const auto block = [&] {
          Sequential<double> net;
          if (form_ == Form::Vectors || form_ == Form::Sequences)
            net.push_back(make<Linear<double>>(s[-1], s[-1]));
          else
            net.push_back(activation(s));
          net.push_back(make<Tanh<double>>());
          return net;
        };
        const bool vectors = form_ == Form::Vectors || form_ == Form::Sequences;
        Repeat<double> repeat(2 + pick(2), block);
        if (vectors && pick(2)) return std::make_shared<Repeat<double>>(std::move(repeat).shared());
        return std::make_shared<Repeat<double>>(std::move(repeat));
      }
      default:
        return chain({keeping(s, depth), keeping(s, depth)});
    }
  }

  // Losses ------------------------------------------------------------------------------------------------------------

  void choose_loss() {
    const std::size_t kind = pick(16);
    if (kind < 4) return;
    const Reduction reduction = pick(4) ? Reduction::Mean : Reduction::Sum;
    if (kind == 4) loss = std::make_shared<MSELoss<double>>(reduction);
    if (kind == 5) loss = std::make_shared<L1Loss<double>>(reduction);
    if (kind == 6) loss = std::make_shared<HuberLoss<double>>(HuberLossOptions{uniform(0.3, 3), reduction});
    if (kind == 7) loss = std::make_shared<SmoothL1Loss<double>>(SmoothL1LossOptions{reduction, uniform(0.3, 3)});
    if (loss) {
      y = normal(shape_, pick(2) ? 0 : scale_, 1);
      return;
    }
    if (kind == 8 || kind == 9) {
      if (kind == 9) add(make<Sigmoid<double>>());
      loss = kind == 8 ? std::shared_ptr<Loss<double>>(std::make_shared<BCEWithLogitsLoss<double>>(reduction))
                       : std::make_shared<BCELoss<double>>(reduction);
      y = between(shape_, 0, 1);
      return;
    }
    if (shape_.rank() > 2) add(flatten());
    if (kind == 10) {
      add(make<Neuron<double>>(shape_[1]));
      loss = std::make_shared<BCEWithLogitsLoss<double>>(reduction);
      y = between(shape_, 0, 1);
      return;
    }
    if (shape_[1] < 2 || shape_[1] > 12) add(make<Linear<double>>(shape_[1], 3));
    const std::size_t rows = shape_[0], classes = shape_[1];
    y = Tensor<double>::empty({rows});
    for (std::size_t i = 0; i < rows; ++i) y.data()[i] = static_cast<double>(pick(classes));
    if (kind == 11 || kind == 12) {
      CrossEntropyLossOptions<double> options{.reduction = reduction, .label_smoothing = pick(2) ? 0 : uniform(0, 0.5)};
      if (pick(3) == 0) options.weight = between({classes}, 0.5, 2);
      loss = std::make_shared<CrossEntropyLoss<double>>(options);
      if (pick(3) == 0) y = Softmax<double>().forward(normal({rows, classes}, 0, 1));
    } else if (kind == 13) {
      add(make<LogSoftmax<double>>(-1));
      loss = std::make_shared<NLLLoss<double>>(reduction);
    } else if (kind == 14) {
      add(make<LogSoftmax<double>>(-1));
      const bool logs = pick(2) == 0;
      loss = std::make_shared<KLDivLoss<double>>(KLDivLossOptions{reduction, logs, pick(2) == 0});
      y = Softmax<double>().forward(normal({rows, classes}, 0, 1));
      for (std::size_t i = 0; logs && i < y.numel(); ++i) y.data()[i] = std::log(y.data()[i]);
    } else {
      add(make<Softmax<double>>(-1));
      loss = std::make_shared<CategoricalCrossEntropyLoss<double>>(reduction);
    }
  }

  Generator generator_;
  Form form_ = Form::Vectors;
  Shape shape_;
  double scale_ = 0, spread_ = 1;
  bool evaluates_ = false;
};

}  // namespace handgrad::test
