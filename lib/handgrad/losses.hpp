#pragma once
/// Losses.
#include "handgrad/contract/loss.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/kl_div.hpp"
#include "handgrad/losses/l2_penalty.hpp"
#include "handgrad/losses/mse.hpp"
