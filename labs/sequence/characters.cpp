// A character model that predicts the next one, trained on pieces of a text with the states carried over, and then made
// to write. The text comes from a small grammar of known entropy, or is the user's own.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "common/made_text.hpp"
#include "common/plot.hpp"
#include "handgrad/io/files.hpp"
#include "sequence/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

class Model {
 public:
  Model(const Alphabet& alphabet, std::size_t units, hg::Device device)
      : alphabet_(alphabet),
        lstm_(std::make_shared<hg::LSTM<float>>(alphabet.letters.size(), units)),
        head_(std::make_shared<hg::Linear<float>>(units, alphabet.letters.size())),
        device_(device) {
    lstm_->carry_state();
    net_.push_back(lstm_);
    net_.push_back(head_);
    net_.to(device);
  }
  hg::Sequential<float>& net() { return net_; }

  /// z (T·N, C) for characters t = `from` … from+T−1 of each of N streams, one-hot, and the characters that follow.
  struct Piece {
    Tensor<float> x, next;
  };
  Piece piece(const std::vector<std::size_t>& text, std::size_t streams, std::size_t from, std::size_t steps) const {
    const std::size_t C = alphabet_.letters.size(), each = text.size() / streams;
    Piece p{hg::zeros({steps, streams, C}), hg::zeros({steps * streams})};
    for (std::size_t t = 0; t < steps; ++t)
      for (std::size_t n = 0; n < streams; ++n) {
        const std::size_t at = n * each + from + t;
        p.x.data()[(t * streams + n) * C + text[at]] = 1;
        p.next.data()[t * streams + n] = static_cast<float>(text[at + 1]);
      }
    return {p.x.to(device_), p.next.to(device_)};
  }

  /// Writes by drawing each character from the model's prediction, starting from a fresh state.
  std::string write(std::size_t length, char first, std::uint64_t seed) {
    const std::size_t C = alphabet_.letters.size();
    hg::Generator generator(seed);
    std::string text;
    std::size_t last = alphabet_.number.at(first);
    lstm_->reset_state();
    while (text.size() < length) {
      Tensor<float> x = hg::zeros({1, 1, C});
      x.data()[last] = 1;
      const std::vector<float> z = net_.forward(x.to(device_)).to_vector();
      const float top = *std::max_element(z.begin(), z.end());
      double sum = 0;
      for (const float v : z) sum += std::exp(double(v - top));
      double left = generator.uniform<double>() * sum;
      for (last = 0; last + 1 < C && (left -= std::exp(double(z[last] - top))) > 0; ++last) {
      }
      text += alphabet_.letters[last];
    }
    lstm_->reset_state();
    return text;
  }
  void begin() { lstm_->reset_state(); }

 private:
  const Alphabet& alphabet_;
  std::shared_ptr<hg::LSTM<float>> lstm_;
  std::shared_ptr<hg::Linear<float>> head_;
  hg::Sequential<float> net_;
  hg::Device device_;
};

}  // namespace

void characters(Lab& lab) {
  lab.section("3  A model that writes", "7");
  Text source;
  if (const auto file = lab.data("sequence/text.txt")) {
    source.text = hg::read_file(*file);
    std::cout << "The text: " << *file << ", " << source.text.size() << " bytes.\n";
    if (source.text.size() < 2000) throw hg::ValueError(*file + ": at least 2000 bytes of text expected");
  } else {
    source = made_text(30'000, lab.options.seed + 5);
    std::cout
        << "There is no sequence/text.txt in the data folder (--data DIR or HANDGRAD_DATA): this text comes from\n"
           "a grammar of one sentence with seven choices. It begins\n\n"
        << indented(source.text.substr(0, 150)) << '\n';
  }
  const Alphabet alphabet(source.text);
  std::vector<std::size_t> text;
  for (const char letter : source.text) text.push_back(alphabet.number.at(letter));

  const std::size_t streams = 16, steps = 40, units = lab.options.quick ? 64 : 128,
                    pieces = (text.size() / streams - 1) / steps;
  const int epochs = lab.options.quick ? 4 : 12;
  std::cout << alphabet.letters.size() << " different characters; one-hot, an LSTM of " << units
            << " units, a Linear, cross-entropy. The text in " << streams << " streams,\nin pieces of " << steps
            << " characters, whose states are carried over; gradients end with their piece.\n";
  if (source.entropy > 0)
    std::cout << std::fixed << std::setprecision(4) << "The choices have " << source.entropy
              << " nats a character: no model can be below that but by learning the text by heart.\n";
  hg::manual_seed(lab.options.seed);
  Model model(alphabet, units, lab.options.device);
  hg::CrossEntropyLoss<float> loss;
  hg::Adam<float> adam(model.net().parameters(), {.lr = 1e-2});
  std::vector<double> numbers, losses;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double sum = 0;
    model.begin();
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      const auto [x, next] = model.piece(text, streams, piece * steps, steps);
      const Tensor<float> z = model.net().forward(x);
      sum += loss.forward(z.reshape({steps * streams, alphabet.letters.size()}), next).item();
      adam.zero_grad();
      model.net().backward(loss.backward().reshape(z.shape()));
      hg::clip_grad_norm_(model.net().parameters(), 1.0);
      adam.step();
    }
    numbers.push_back(epoch);
    losses.push_back(sum / double(pieces));
    std::cout << std::fixed << std::setprecision(4) << "\nepoch " << epoch << ": " << losses.back()
              << " nats a character. It writes:\n"
              << indented(model.write(110, '\n', lab.options.seed + 9));
  }
  lab.figures.shape("sequence.characters.nats", losses.back());
  lab.figures.weights("characters", model.net().state_dict());
  Plot plot("What comes next?", "epoch", "nats a character");
  plot.line(numbers, losses, "the model");
  if (source.entropy > 0)
    plot.line({numbers.front(), numbers.back()}, {source.entropy, source.entropy}, "the grammar's entropy");
  draw(lab, "characters", {plot});
}
