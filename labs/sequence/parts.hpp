#pragma once
#include <handgrad/handgrad.hpp>
#include <memory>
#include <string>

#include "common/lab.hpp"

/// How far back a gradient reaches (reach.cpp), the adding problem (adding.cpp), a character model (characters.cpp).
void reach(handgrad::labs::Lab& lab);
void adding(handgrad::labs::Lab& lab);
void characters(handgrad::labs::Lab& lab);

/// "RNN", "LSTM" or "GRU".
std::shared_ptr<handgrad::Recurrent<float>> make_recurrent(const std::string& name, std::size_t in, std::size_t hidden,
                                                           handgrad::Steps output = handgrad::Steps::All);
