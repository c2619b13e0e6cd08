// Writes one valid file or more for each reader into DIR/NAME/, where the fuzzer begins.
#include <zlib.h>

#include <filesystem>

#include "fuzz/run.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/npy.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/tuning/study.hpp"

using namespace handgrad;
using namespace std::string_literals;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto seed = [&](const std::string& reader, const std::string& name) {
    std::filesystem::create_directories(std::string(argv[1]) + "/" + reader);
    return std::string(argv[1]) + "/" + reader + "/" + name;
  };
  write_file(seed("csv", "mixed"),
             "\xEF\xBB\xBF"
             "age,name\r\n39, Ada\r\n\r\n?,\"B\"\"o,\nx\"\r\n1e3,\r\n");
  const std::string images = "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03"s + "abcdef";
  write_file(seed("idx", "bytes"), images);
  gzFile packed = gzopen(seed("idx", "gzip").c_str(), "wb");
  gzwrite(packed, images.data(), static_cast<unsigned>(images.size()));
  gzclose(packed);
  write_npy(seed("npy", "matrix"), Tensor<float>{{1, 2, 3}, {4, 5, 6}});
  write_npy(seed("npy", "number"), Tensor<double>({}, {1}));
  write_safetensors<float>(seed("safetensors", "two"), {{"w", Tensor<float>{{1, 2}}}, {"b", Tensor<float>({}, {3})}},
                           {{"epoch", "7"}});
  fuzz::Run run;
  run.step();
  save_checkpoint(seed("checkpoint", "run"), run.state);
  const std::string study = seed("study", "three");
  std::filesystem::remove(study);
  Study({.file = study})
      .optimize(
          [](Trial& trial) {
            trial.report(trial.suggest_float("x", 1e-3, 1, true), 0);
            return trial.suggest_int("n", -1, 5) + (trial.suggest_categorical("c", {"a", "b"}) == "a" ? INFINITY : 0);
          },
          3);
}
