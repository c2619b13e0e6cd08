// Notebook 000: logistic regression. Will there be more than 80 apples? The formulas are derived in README.md beside
// this file.
#include "common/lab.hpp"
#include "logistic/parts.hpp"

HANDGRAD_LAB(logistic, "000", "logistic regression: will there be more than 80 apples?") {
  from_scratch_section(lab);
  layers_section(lab);
}
