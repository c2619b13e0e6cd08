// The program behind ./labs/run: reads the command line and runs labs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "common/page.hpp"
#include "common/ranks.hpp"
#include "common/stepper.hpp"
#include "handgrad/base/errors.hpp"

namespace {

using namespace handgrad;

void list_labs() {
  std::size_t width = 0;
  for (const auto& entry : labs::labs()) width = std::max(width, entry.name.size());
  for (const auto& entry : labs::labs())
    std::cout << entry.name << std::string(width - entry.name.size() + 2, ' ') << entry.summary << " ("
              << entry.source() << ")\n";
}

Device device_from(const std::string& text) {
  const Device device = Device::parse(text);
  if (device.is_cuda() && !cuda_available()) throw DeviceError("--device " + text + ": " + cuda_unavailable_reason());
  return device;
}

/// The labs to run: those named, each once, or all.
std::vector<std::string> expand(const std::vector<std::string>& names) {
  const auto named = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> chosen;
  if (names.empty() || named("all"))
    for (const auto& entry : labs::labs()) chosen.push_back(entry.name);
  for (const std::string& name : names)
    if (name != "all" && std::find(chosen.begin(), chosen.end(), name) == chosen.end()) chosen.push_back(name);
  return chosen;
}

/// Of the processes that mpirun started, the first one speaks and writes; the others do so where nobody looks.
void be_rank(const Communicator& world, labs::Options& options, std::string& json) {
  if (options.ranks != world.size())
    throw ValueError("--ranks " + std::to_string(options.ranks) + ", but there are " + std::to_string(world.size()) +
                     " processes");
  if (world.rank() == 0) return;
  std::cout.rdbuf(nullptr);
  json.clear();
  options.out = (std::filesystem::path(options.out) / ("rank" + std::to_string(world.rank()))).string();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "handgrad's labs: the notebooks' figures beside ours.\n"
      "Without a name: every lab in its quick form. `all`: every lab in full.",
      "./labs/run");
  labs::Options options;
  options.out = HANDGRAD_LABS_OUT;
  std::vector<std::string> names;
  std::string json, device = "cpu", data;
  if (const char* folder = std::getenv("HANDGRAD_DATA")) data = folder;

  app.add_option("LAB", names, "the labs to run, or `all`");
  app.add_option("--json", json, "write the figures to this file");
  app.add_option("--seed", options.seed, "seed of what the notebooks left unseeded")->capture_default_str();
  app.add_option("--device", device, "where networks train: cpu or cuda")->capture_default_str();
  app.add_option("--data", data, "the folder with the notebooks' data sets (default: HANDGRAD_DATA)");
  app.add_option("--out", options.out, "the folder for pictures")->capture_default_str();
  app.add_option("--trials", options.trials, "trials of a search for hyperparameters")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--ranks", options.ranks, "with adult: trains on so many processes (mpirun), and on one")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--threads", options.rank_threads, "with --ranks: ranks are threads of one process");
  app.add_flag("--quick", options.quick, "short forms of what takes longer than a minute");
  app.fallthrough();  // `open xor --out DIR`: options may follow a subcommand too
  CLI::App* list = app.add_subcommand("list", "name the labs");
  std::string lesson;
  bool plain = false;
  CLI::App* step = app.add_subcommand("step", "step through a lab's training, one assignment at a time");
  step->add_option("LAB", lesson, "which")->required()->check(CLI::IsMember(labs::lesson_names()));
  step->add_flag("--plain", plain, "as text, line by line: for a pipe or a screen reader");
  CLI::App* open = app.add_subcommand("open", "the same as a page for a browser, with pictures");
  open->add_option("LAB", lesson, "which; all of them and a page that leads to them without it")
      ->check(CLI::IsMember(labs::lesson_names()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // 0: --help
  }

  try {
    if (list->parsed()) {
      list_labs();
      return 0;
    }
    if (step->parsed()) return labs::step_through(lesson, plain);
    if (open->parsed() && lesson.empty()) return labs::open_index(options.out);
    if (open->parsed()) {
      labs::Figures none(lesson);
      return labs::open_page(lesson, labs::Lab{options, none}.out("step.html"));
    }
    options.device = device_from(device);
    if (!data.empty()) options.data = data;
    if (options.data && !std::filesystem::is_directory(*options.data))
      throw IoError("the data folder " + *options.data + " is not there (--data DIR, or HANDGRAD_DATA)");
    options.quick |= names.empty();
    if (options.ranks > 0) {
      if (expand(names) != std::vector<std::string>{"adult"})
        throw ValueError("--ranks: of the labs, adult alone trains on several ranks: ./labs/run adult --ranks 2");
      if (labs::ranks_of_processes)
        be_rank(*labs::ranks_of_processes(), options, json);
      else if (!options.rank_threads) {
        const std::string why = labs::start_with_mpirun(options.ranks, argv);
        std::cerr << "The ranks are threads: " << why << ".\n";
      }
    }
    return labs::run_labs(expand(names), options, json);
  } catch (const std::exception& error) {
    std::cout << std::flush;
    std::cerr << "./labs/run: " << error.what() << std::endl;
    return 2;
  }
}
