#pragma once
/// Metrics.
#include "handgrad/metrics/classification.hpp"
#include "handgrad/metrics/ranking.hpp"
#include "handgrad/metrics/regression.hpp"
