#pragma once
// Synthetic data for labs whose real files are missing.
#include <cstddef>
#include <cstdint>

#include "handgrad/data/generators.hpp"
#include "handgrad/data/table.hpp"

namespace handgrad::labs {

/// A synthetic census with the columns, values (each text value begins with a space, an unknown one is " ?") and
/// approximate frequencies of the UCI data set Adult: 14 columns and "wage", " <=50K" or " >50K". Wage depends on
/// schooling, age, hours, marriage, occupation and capital, not quite linearly, and on chance. No row describes a
/// person.
Table make_census(std::size_t n_samples = 32561, std::uint32_t random_state = 0);

/// Drawn digits, in the form in which read_idx gives MNIST: x of shape (N, 28, 28) from 0 to 255, y of shape (N),
/// classes 0 … 9 in turn. Each is a skeleton of strokes, randomly shifted, rotated, slanted, bent and thickened, with
/// noise.
template <class T = float>
Samples<T> make_digits(std::size_t n_samples, std::uint32_t random_state = 0);

}  // namespace handgrad::labs
