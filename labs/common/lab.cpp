#include "common/lab.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <tuple>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::labs {

namespace {

std::vector<Entry>& registry() {
  static std::vector<Entry> entries;
  return entries;
}

const Entry& find(const std::string& name) {
  for (const Entry& entry : labs())
    if (entry.name == name) return entry;
  std::string message = "there is no lab '" + name + "'; there are:";
  for (const Entry& entry : labs()) message += " " + entry.name;
  throw ValueError(message);
}

std::string bold(const std::string& text) { return colours() ? "\x1b[1m" + text + "\x1b[0m" : text; }

/// Runs one lab; an exception ends the lab, not the program.
bool run_one(const Entry& entry, const Options& options, Figures& figures) {
  std::cout << '\n' << bold("=== " + entry.name + ": " + entry.summary + " (" + entry.source() + ")") << '\n';
  Lab lab{options, figures};
  try {
    entry.run(lab);
    return true;
  } catch (const std::exception& error) {
    std::cout << std::flush;
    std::cerr << "lab " << entry.name << " stopped: " << error.what() << std::endl;
    return false;
  }
}

}  // namespace

detail::Registration::Registration(const char* name, const char* notebook, const char* summary, void (*run)(Lab&)) {
  registry().push_back({name, notebook, summary, run});
}

std::string Entry::source() const { return notebook.empty() ? "beyond the notebooks" : "notebook " + notebook; }

const std::vector<Entry>& labs() {
  const auto place = [](const Entry& entry) { return std::tuple(entry.notebook.empty(), entry.notebook, entry.name); };
  std::sort(registry().begin(), registry().end(), [&](const Entry& a, const Entry& b) { return place(a) < place(b); });
  return registry();
}

bool colours() { return isatty(STDOUT_FILENO) && std::getenv("NO_COLOR") == nullptr; }

void Lab::section(const std::string& title, std::string in_readme, const char* file, int line) const {
  std::cout << '\n' << bold("--- " + title) << '\n';
  if (in_readme.empty()) in_readme = title.substr(0, title.find_first_not_of("0123456789"));
  const std::string readme = "labs/" + figures.lab() + "/README.md";
  std::ifstream in(std::string(HANDGRAD_LABS_FOLDER "/../") + readme);
  std::string heading;
  for (std::string text; heading.empty() && std::getline(in, text);)
    if (text.starts_with("## " + in_readme + ".") || text.starts_with("## " + in_readme + " "))
      heading = text.substr(3);
  if (heading.empty()) throw ValueError(readme + " has no section " + in_readme);
  std::cout << "    labs/" << figures.lab() << ": README.md, " << heading << "; "
            << std::filesystem::path(file).filename().string() << ':' << line << "\n\n";
}

void Lab::stays_on_cpu(const std::string& what) const {
  if (!options.device.is_cpu())
    std::cout << "(On the CPU and not on " << options.device.str() << ": " << what << ".)\n";
}

std::optional<std::string> Lab::data(const std::string& name) const {
  if (!options.data) return std::nullopt;
  const auto path = std::filesystem::path(*options.data) / name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path.string();
}

std::string Lab::out(const std::string& name) const {
  const auto path = std::filesystem::path(options.out) / figures.lab() / name;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) throw IoError("cannot make the folder " + path.parent_path().string() + ": " + error.message());
  return path.string();
}

int run_labs(const std::vector<std::string>& names, const Options& options, const std::string& json) {
  std::vector<const Entry*> chosen;
  for (const std::string& name : names) chosen.push_back(&find(name));

  // Fail now rather than after minutes if the file cannot be written.
  if (!json.empty()) write_file(json, to_json({}));
  bool whole = true, interrupted = false;
  std::vector<Figures> done;
  for (const Entry* entry : chosen) {
    done.emplace_back(entry->name);
    try {
      whole &= run_one(*entry, options, done.back());
    } catch (const Interrupted&) {
      std::cout << std::flush;
      std::cerr << "\nlab " << entry->name << " was interrupted" << std::endl;
      interrupted = true;
    }
    if (!json.empty()) write_file(json, to_json(done));
    if (interrupted) break;
  }
  std::cout << '\n';
  print_table(std::cout, done, colours());
  return interrupted ? 130 : whole && all_exact_agree(done) ? 0 : 1;
}

}  // namespace handgrad::labs
