// Golden runs: the weights at the end of every lab's training, in the quick form that the test labs/all has just run,
// have one hash, whatever the instruction set and the number of threads:
//
//     HANDGRAD_SIMD=avx2 HANDGRAD_NUM_THREADS=3 ctest -R labs/golden
//
// Who changes what an operation computes changes a hash, and says so. HANDGRAD_TEST_PRINT_GOLDEN=1 prints those of
// here.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace {

struct Golden {
  const char *lab, *weights, *hash;
};
constexpr Golden golden[] = {
    {"logistic", "table", "b676bfbfaa56cce0"},
    {"logistic", "predictions", "6b231851e3754514"},
    {"logistic", "logreg", "9b6d7b1c247dd7b4"},
    {"network", "line", "dc64efb0d0839176"},
    {"network", "two_layers", "798a80bece860377"},
    {"network", "curve", "abe549a5ce8b7839"},
    {"network", "moons.v1", "cf06628913c472e4"},
    {"network", "moons.v2", "1a9e57790b6146a8"},
    {"network", "moons.v3", "3b3afb6e8b5583ca"},
    {"gabor", "fit", "4b18e75ba7879d2f"},
    {"gabor", "xor", "163029cc5ff12216"},
    {"descent", "line", "34a4425354b9c290"},
    {"adult", "logistic", "a59e3e36f3929302"},
    {"adult", "mlp", "e0b9c0b1c1ca0754"},
    {"adult", "regularized", "e1674204ed1ea02d"},
    {"adult", "regularized, momentum", "a6684826fed045d7"},
    {"adult", "batch norm after ReLU, weight", "ca43ae1bebc8fbd2"},
    {"adult", "batch norm after ReLU, pos_weight", "7fc80eace0f67f05"},
    {"adult", "batch norm before ReLU, weight", "d309e6d1074b6773"},
    {"adult", "batch norm before ReLU, pos_weight", "99d453559d57512d"},
    {"adult", "best by TPE", "5091a016ce8b9b75"},
    {"adult", "best by Random", "8714917a24f1a647"},
    {"from_scratch", "sgd", "21d62b1accb9b35b"},
    {"from_scratch", "slow", "a5364295523b16be"},
    {"from_scratch", "gd", "7d8f3b98c5c03193"},
    {"from_scratch", "layer", "7d8f3b98c5c03193"},
    {"from_scratch", "relu_net", "0d3e978bbc3b00bd"},
    {"attention", "characters", "db6efedf531a83d9"},
    {"depth", "default", "9e6cec37e9b4b32b"},
    {"depth", "Kaiming", "5a3e5dc08ad62602"},
    {"depth", "default, BatchNorm", "be3966151cefd17c"},
    {"depth", "default, Residual", "455ad20404e8ed31"},
    {"digits", "digits", "2052e356293ee2b8"},
    {"mnist", "mnist", "0fd22484486f875b"},
    {"sequence", "adding, RNN", "66034a1bb0945bf7"},
    {"sequence", "adding, RNN, clipped at 1", "88ade605b09a0efa"},
    {"sequence", "adding, GRU, clipped at 1", "9982b7756bdfdfca"},
    {"sequence", "adding, LSTM, clipped at 1", "d48edca6398f409f"},
    {"sequence", "characters", "4907e58098e83824"},
    {"two_workers", "1 workers", "e7cdc37ececa131c"},
    {"two_workers", "2 workers", "d913186d5cddda90"},
    {"two_workers", "3 workers", "85a8e5b25c7ba1d9"},
    {"two_workers", "4 workers", "1c38e73853f2c450"},
};

/// The hashes are those of made-up data; with HANDGRAD_DATA these labs may have had other data.
bool on_data_of_ones_own(const std::string& lab) {
  const char* folder = std::getenv("HANDGRAD_DATA");
  const std::set<std::string> take_data{"adult", "attention", "digits", "mnist", "sequence"};
  return folder && *folder && take_data.count(lab) == 1;
}

nlohmann::json labs() {
  std::ifstream in(HANDGRAD_LABS_JSON);
  BOOST_REQUIRE_MESSAGE(in, HANDGRAD_LABS_JSON << ": run the test labs/all first");
  return nlohmann::json::parse(in);
}

}  // namespace

BOOST_AUTO_TEST_CASE(trainings_end_at_the_same_weights_everywhere) {
  std::map<std::pair<std::string, std::string>, std::string> here;
  for (const auto& lab : labs())
    for (const auto& [id, hash] : lab.at("weights").items())
      here[{lab.at("lab").get<std::string>(), id}] = hash.get<std::string>();
  if (const char* print = std::getenv("HANDGRAD_TEST_PRINT_GOLDEN"); print && *print == '1')
    for (const auto& [key, hash] : here)
      std::cout << "    {\"" << key.first << "\", \"" << key.second << "\", \"" << hash << "\"},\n";
  for (const Golden& g : golden) {
    const std::string hash = here[{g.lab, g.weights}];
    BOOST_TEST((hash == g.hash || on_data_of_ones_own(g.lab)),
               g.lab << ", " << g.weights << ": " << hash << ", expected " << g.hash);
    here.erase({g.lab, g.weights});
  }
  for (const auto& [key, hash] : here)
    BOOST_TEST(false, key.first << ", " << key.second << ": " << hash << ", which no golden run has");
}
