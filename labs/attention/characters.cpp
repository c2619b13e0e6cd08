// A causal two-layer transformer that predicts the next character, trained on a text from a small grammar or on the
// user's own; it writes, and shows where its heads look.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "attention/parts.hpp"
#include "common/made_text.hpp"
#include "common/plot.hpp"
#include "handgrad/io/files.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr std::size_t length = 48, batch = 8, features = 32, heads = 4, layers = 2;

using Encoder = hg::TransformerEncoderLayer<double>;

/// Embedding, positions, layers, a last norm, and a Linear to the logits of the next character.
struct Model {
  hg::Sequential<double> net;
  std::vector<std::shared_ptr<Encoder>> encoders;

  explicit Model(std::size_t characters) {
    net.push_back(std::make_shared<hg::Embedding<double>>(characters, features));
    net.push_back(std::make_shared<hg::PositionalEncoding<double>>(
        features, hg::PositionalEncodingOptions{.dropout = 0, .max_len = length, .batch_first = true}));
    for (std::size_t i = 0; i < layers; ++i) {
      encoders.push_back(std::make_shared<Encoder>(features, heads,
                                                   hg::TransformerEncoderLayerOptions{.dim_feedforward = 2 * features,
                                                                                      .dropout = 0,
                                                                                      .batch_first = true,
                                                                                      .norm_first = true,
                                                                                      .is_causal = true}));
      net.push_back(encoders.back());
    }
    net.push_back(std::make_shared<hg::LayerNorm<double>>(features));
    net.push_back(std::make_shared<hg::Linear<double>>(features, characters));
  }
};

/// `rows` pieces of the text from piece `first` on: x (N, T) and the characters that follow, (N·T).
struct Pieces {
  Tensor<double> x, next;
};
Pieces pieces(const std::vector<std::size_t>& text, std::size_t first, std::size_t rows) {
  Pieces p{hg::zeros<double>({rows, length}), hg::zeros<double>({rows * length})};
  for (std::size_t i = 0; i < rows * length; ++i) {
    p.x.data()[i] = static_cast<double>(text[first * length + i]);
    p.next.data()[i] = static_cast<double>(text[first * length + i + 1]);
  }
  return p;
}

/// Draws each character from the model's prediction, given the last `length` before it.
std::string write(Model& model, const Alphabet& alphabet, hg::Device device, std::size_t count, std::uint64_t seed) {
  hg::Generator generator(seed);
  std::string text = "\n";
  while (text.size() <= count) {
    const std::string seen = text.substr(text.size() > length ? text.size() - length : 0);
    Tensor<double> x = hg::zeros<double>({1, seen.size()});
    for (std::size_t t = 0; t < seen.size(); ++t) x.data()[t] = static_cast<double>(alphabet.number.at(seen[t]));
    const std::vector<double> all = model.net.forward(x.to(device)).to_vector();
    const std::vector<double> z(all.end() - static_cast<std::ptrdiff_t>(alphabet.size()), all.end());
    const double top = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double v : z) sum += std::exp(v - top);
    double left = generator.uniform<double>() * sum;
    std::size_t next = 0;
    while (next + 1 < alphabet.size() && (left -= std::exp(z[next] - top)) > 0) ++next;
    text += alphabet.letters[next];
  }
  return text.substr(1);
}

/// P of every head while the model reads a piece: as characters for the head that looks farthest back, as pictures for
/// all.
void maps(Lab& lab, Model& model, const Alphabet& alphabet, const std::vector<std::size_t>& text) {
  model.net.forward(pieces(text, 0, 1).x.to(lab.options.device));
  std::vector<Plot> plots;
  double farthest = 0;
  Tensor<double> shown;
  std::string which;
  std::vector<double> places(length);
  for (std::size_t t = 0; t < length; ++t) places[t] = static_cast<double>(t);
  for (std::size_t l = 0; l < layers; ++l) {
    const Tensor<double> P = model.encoders[l]->self_attn().probabilities().cpu().reshape({heads * length, length});
    for (std::size_t h = 0; h < heads; ++h) {
      const Tensor<double> of_head = P.rows(h * length, (h + 1) * length);
      const std::string name = "layer " + std::to_string(l + 1) + ", head " + std::to_string(h + 1);
      std::vector<double> z(length * length);
      double back = 0;
      for (std::size_t i = 0; i < length; ++i)
        for (std::size_t j = 0; j < length; ++j) {
          z[i * length + j] = of_head.item(i, j);
          back += of_head.item(i, j) * static_cast<double>(i - std::min(i, j)) / static_cast<double>(length);
        }
      plots.emplace_back(name, "looks at", "position");
      plots.back().surface(places, places, z, "P", Plot::Scale::Sequential);
      if (back > farthest) farthest = back, shown = of_head, which = name;
    }
  }
  constexpr std::size_t rows = 24;
  std::cout
      << "\nWhere the head that looks farthest back looks (" << which << "), while it reads the first " << rows
      << " characters:\neach row a position, and how much it takes of those before it, from ' ' to '@'.\n\n      ";
  const auto letter = [&](std::size_t t) {
    const char c = alphabet.letters[text[t]];
    return c == '\n' ? '$' : c == ' ' ? '_' : c;
  };
  for (std::size_t j = 0; j < rows; ++j) std::cout << letter(j);
  std::cout << '\n';
  const std::string shades = " .:-=+*#%@";
  for (std::size_t i = 0; i < rows; ++i) {
    std::cout << "    " << letter(i) << ' ';
    for (std::size_t j = 0; j <= i; ++j)
      std::cout << shades[std::min<std::size_t>(9, static_cast<std::size_t>(shown.item(i, j) * 10))];
    std::cout << '\n';
  }
  draw(lab, "maps", plots, heads);
}

}  // namespace

void attention_characters(Lab& lab) {
  lab.section("2  A transformer that writes", "4");
  Text source;
  const auto file = lab.data("sequence/text.txt");
  if (file) {
    source.text = hg::read_file(*file);
    std::cout << "The text: " << *file << ", " << source.text.size() << " bytes.\n";
    if (source.text.size() < 2000) throw hg::ValueError(*file + ": at least 2000 bytes of text expected");
  } else {
    source = made_text(30'000, lab.options.seed + 5);
    std::cout << "There is no sequence/text.txt in the data folder (--data DIR or HANDGRAD_DATA): this text comes\n"
                 "from a grammar of one sentence with seven choices. It begins\n\n"
              << indented(source.text.substr(0, 150)) << '\n';
  }
  const Alphabet alphabet(source.text);
  const std::vector<std::size_t> text = alphabet.numbers_of(source.text);
  const std::size_t steps = (text.size() - 1) / length / batch, epochs = lab.options.quick ? 4 : 20;
  hg::manual_seed(lab.options.seed);
  Model model(alphabet.size());
  model.net.to(lab.options.device);
  std::cout << alphabet.size() << " different characters. Embedding to " << features << " features, their positions, "
            << layers << " layers of " << heads << " heads, a norm, a Linear:\n"
            << model.net.parameter_count() << " parameters, in double. Pieces of " << length << " characters, " << batch
            << " at a time, Adam.\n";
  if (source.entropy > 0)
    std::cout << std::fixed << std::setprecision(4) << "The choices have " << source.entropy
              << " nats a character: no model can be below that but by learning the text by heart.\n";
  hg::CrossEntropyLoss<double> loss;
  hg::Adam<double> adam(model.net.parameters(), {.lr = 3e-3});
  std::vector<double> numbers, losses, first;
  for (std::size_t epoch = 1; epoch <= epochs; ++epoch) {
    double sum = 0;
    for (std::size_t step = 0; step < steps; ++step) {
      const auto [x, next] = pieces(text, step * batch, batch);
      const Tensor<double> z = model.net.forward(x.to(lab.options.device));
      const double value =
          loss.forward(z.reshape({batch * length, alphabet.size()}), next.to(lab.options.device)).item();
      adam.zero_grad();
      model.net.backward(loss.backward().reshape(z.shape()));
      adam.step();
      sum += value;
      if (first.size() < 20) first.push_back(value);
    }
    numbers.push_back(static_cast<double>(epoch));
    losses.push_back(sum / static_cast<double>(steps));
    if (lab.options.quick || epoch % 5 == 0 || epoch == 1)
      std::cout << std::fixed << std::setprecision(4) << "\nepoch " << epoch << ": " << losses.back()
                << " nats a character. It writes:\n"
                << indented(write(model, alphabet, lab.options.device, 110, lab.options.seed + 9));
  }
  // PyTorch's run for the first twenty steps (tests/labs/pytorch_test.cpp).
  if (!file && lab.options.seed == 0) lab.figures.exact("attention.first_losses", first);
  lab.figures.shape("attention.nats", losses.back());
  lab.figures.weights("characters", model.net.state_dict());
  Plot plot("What comes next?", "epoch", "nats a character");
  plot.line(numbers, losses, "the model");
  if (source.entropy > 0)
    plot.line({numbers.front(), numbers.back()}, {source.entropy, source.entropy}, "the grammar's entropy");
  draw(lab, "characters", {plot});
  maps(lab, model, alphabet, text);
}
