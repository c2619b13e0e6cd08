// Notebook 003, from its data set on: who earns more than 50K? From logistic regression to a regularised network and a
// search for its hyperparameters; and what went wrong on the way. README.md beside this file derives what is used.
#include "adult/parts.hpp"
#include "common/lab.hpp"

HANDGRAD_LAB(adult, "003, second part", "the census: from logistic regression to a tuned network") {
  const Censuses censuses = census_section(lab);
  plain_section(lab, censuses.as_read);
  regularized_section(lab, censuses.as_read);
  normalizing_section(lab, censuses);
  tuning_section(lab, censuses.as_read);
  lab.figures.shape("003.curves");
}
