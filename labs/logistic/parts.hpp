#pragma once
#include <handgrad/handgrad.hpp>
#include <string>
#include <vector>

#include "common/lab.hpp"

/// The notebook's two sections: from scratch (scratch.cpp), and with layers, a loader and a training loop (layers.cpp).
void from_scratch_section(handgrad::labs::Lab& lab);
void layers_section(handgrad::labs::Lab& lab);
