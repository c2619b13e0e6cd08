// Beyond the notebooks: sequences. How far a gradient reaches back through RNN, LSTM and GRU, a task that needs memory,
// and a model that writes text. README.md beside this file derives the backward passes.
#include "sequence/parts.hpp"

namespace hg = handgrad;

std::shared_ptr<hg::Recurrent<float>> make_recurrent(const std::string& name, std::size_t in, std::size_t hidden,
                                                     hg::Steps output) {
  if (name == "LSTM") return std::make_shared<hg::LSTM<float>>(in, hidden, hg::RecurrentOptions{.output = output});
  if (name == "GRU") return std::make_shared<hg::GRU<float>>(in, hidden, hg::RecurrentOptions{.output = output});
  return std::make_shared<hg::RNN<float>>(in, hidden, hg::RNNOptions{.output = output});
}

HANDGRAD_LAB(sequence, "", "recurrent layers: how far a gradient reaches, adding from memory, writing text") {
  reach(lab);
  adding(lab);
  characters(lab);
}
