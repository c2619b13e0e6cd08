// Notebook 003, from its data set on: who earns more than 50K? From logistic regression to a regularised network and a
// hyperparameter search, and what went wrong on the way. Derivations are in README.md beside this file.
#include <functional>
#include <vector>

#include "adult/parts.hpp"
#include "common/lab.hpp"

HANDGRAD_LAB(adult, "003, second part", "the census: from logistic regression to a tuned network") {
  const Censuses censuses = census_section(lab);
  const Census& census = censuses.as_read;
  if (lab.options.ranks > 0) return ranks_section(lab, census);
  const std::vector<std::function<void()>> parts{plain_part(lab, census), regularized_part(lab, census),
                                                 normalizing_part(lab, censuses), tuning_part(lab, census)};
  for (const auto& part : parts) part();
  lab.figures.shape("003.curves");
}
