#pragma once
#include "common/lab.hpp"

/// Chapter 4 of the notebook: descent on make_regression's data (descent.cpp), and its last task (relu_network.cpp).
void descent(handgrad::labs::Lab& lab);
void relu_network(handgrad::labs::Lab& lab);
