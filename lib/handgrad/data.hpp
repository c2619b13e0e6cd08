#pragma once
/// Reading, generating, splitting, scaling and batching data.
#include "handgrad/data/csv.hpp"
#include "handgrad/data/dataset.hpp"
#include "handgrad/data/distributed_sampler.hpp"
#include "handgrad/data/generators.hpp"
#include "handgrad/data/idx.hpp"
#include "handgrad/data/loader.hpp"
#include "handgrad/data/numpy_random.hpp"
#include "handgrad/data/preprocessing.hpp"
#include "handgrad/data/split.hpp"
#include "handgrad/data/table.hpp"
