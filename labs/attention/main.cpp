// Beyond the notebooks: attention. One head by hand, and a small causal transformer that writes text. The backward
// passes are derived in README.md beside this file.
#include "attention/parts.hpp"

HANDGRAD_LAB(attention, "", "attention: one head by hand, a small transformer that writes and shows where it looks") {
  attention_by_hand(lab);
  attention_characters(lab);
}
