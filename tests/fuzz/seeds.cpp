// Writes at least one valid file for each reader into DIR/NAME/, as the fuzzer's seeds.
#include <zlib.h>

#include <filesystem>

#include "fuzz/run.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/npy.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/tuning/study.hpp"
#ifdef HANDGRAD_FUZZ_ONNX
#include "handgrad/onnx/onnx.hpp"
#include "onnx/networks.hpp"
#endif

using namespace handgrad;
using namespace std::string_literals;

// An archive of one file.
static std::string zip(const std::string& name, const std::string& content, bool deflated) {
  const auto number = [](std::size_t value, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i < sizeof value ? value >> (8 * i) & 255 : 0);
    return bytes;
  };
  std::string packed = content;
  if (deflated) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    packed.resize(deflateBound(&stream, content.size()));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
  }
  const std::size_t checksum = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  // Version, flags, method, time, date, then checksum and sizes.
  const std::string known = number(20, 2) + number(0, 2) + number(deflated ? 8 : 0, 2) + number(0, 4) +
                            number(checksum, 4) + number(packed.size(), 4) + number(content.size(), 4) +
                            number(name.size(), 2) + number(0, 2);
  const std::string file = "PK\x03\x04" + known + name + packed;
  const std::string directory = "PK\x01\x02" + number(20, 2) + known + number(0, 14) + name;
  return file + directory + "PK\x05\x06" + number(0, 4) + number(1, 2) + number(1, 2) + number(directory.size(), 4) +
         number(file.size(), 4) + number(0, 2);
}

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
  write_npy(seed("npz", "a.npy"), Tensor<float>{{1, 2, 3}, {4, 5, 6}});
  const std::string array = read_file(seed("npz", "a.npy"));
  std::filesystem::remove(seed("npz", "a.npy"));
  write_file(seed("npz", "stored"), zip("a.npy", array, false));
  write_file(seed("npz", "deflated"), zip("a.npy", array, true));
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
#ifdef HANDGRAD_FUZZ_ONNX
  for (auto& [name, net, x, batch_dimension] : test::onnx_networks<float>())
    write_onnx(seed("onnx", name), net, x.shape(), {.batch_dimension = batch_dimension});
#endif
}
