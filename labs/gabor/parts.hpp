#pragma once
#include "common/lab.hpp"

/// The notebook's chapters 3 and 4 (fit.cpp) and 5 (xor.cpp).
void gabor_fit(handgrad::labs::Lab& lab);
void xor_classifier(handgrad::labs::Lab& lab);
