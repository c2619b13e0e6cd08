#pragma once
#include <handgrad/handgrad.hpp>

#include "common/lab.hpp"

/// One head with its numbers (by_hand.cpp); a character model that learns, writes, and shows where it looks
/// (characters.cpp).
void attention_by_hand(handgrad::labs::Lab& lab);
void attention_characters(handgrad::labs::Lab& lab);
