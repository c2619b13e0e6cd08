#include "exercises/engine/workshop.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::exercises {

namespace fs = std::filesystem;

namespace {

constexpr const char* progress_file = "progress.txt";

/// The file that remembers the most recent folder.
std::string memory() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (!state && !home) return "";
  return (state ? fs::path(state) : fs::path(home) / ".local/state") / "handgrad" / "exercises";
}

}  // namespace

Workshop Workshop::init(const std::string& folder) {
  const fs::path root = fs::absolute(folder).lexically_normal();
  const auto make = [](const fs::path& path, const std::string& text) {
    if (!fs::exists(path)) write_file(path.string(), text);
  };
  std::error_code error;
  for (const Exercise& e : exercises()) {
    fs::create_directories(root / e.folder, error);
    if (error) throw IoError("cannot make the folder " + (root / e.folder).string() + ": " + error.message());
    make(root / e.folder / "README.md", e.text("README.md"));
    make(root / e.folder / (e.name + ".cpp"), e.text("exercise.cpp"));
  }
  make(root / "exercise.hpp", read_file(source_folder() + "/exercise.hpp"));
  make(root / "compile_flags.txt",
       "-std=c++20\n-Wall\n-Wextra\n-Wconversion\n-Wno-sign-conversion\n-I" + root.string() + "\n");  // for editors
  make(root / progress_file, "current " + exercises().front().name + "\n");
  if (const fs::path remembered = memory(); !remembered.empty()) {
    fs::create_directories(remembered.parent_path(), error);
    if (!error) write_file(remembered.string(), root.string() + "\n");
  }
  return Workshop(root.string());
}

Workshop::Workshop(const std::string& folder) : folder_(folder) {
  if (folder_.empty() && fs::exists(fs::current_path() / progress_file) && fs::exists("exercise.hpp"))
    folder_ = fs::current_path().string();
  if (folder_.empty() && !memory().empty() && fs::exists(memory())) {
    folder_ = read_file(memory());
    folder_.erase(folder_.find_last_not_of('\n') + 1);
  }
  if (folder_.empty())
    throw IoError("no exercises here yet. Make them where you like:\n  ./labs/run exercise init ~/exercises");
  if (!fs::exists(fs::path(folder_) / progress_file))
    throw IoError("there are no exercises in " + folder_ + ". Make them:\n  ./labs/run exercise init " + folder_);
  folder_ = fs::absolute(folder_).lexically_normal().string();
  load();
}

std::string Workshop::file(const Exercise& e) const { return folder_ + "/" + e.folder + "/" + e.name + ".cpp"; }
std::string Workshop::readme(const Exercise& e) const { return folder_ + "/" + e.folder + "/README.md"; }

void Workshop::reset(const Exercise& e) const {
  if (fs::exists(file(e))) fs::rename(file(e), file(e) + ".old");
  write_file(file(e), e.text("exercise.cpp"));
}

const Exercise& Workshop::current() const { return exercise(current_); }

const Exercise* Workshop::next_open() const {
  const auto& all = exercises();
  const auto here = std::find_if(all.begin(), all.end(), [&](const Exercise& e) { return e.name == current_; });
  const std::size_t from = passed(*here) ? 0 : static_cast<std::size_t>(here - all.begin()) + 1;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (const Exercise& e = all[(from + i) % all.size()]; e.name != current_ && !passed(e)) return &e;
  return nullptr;
}

void Workshop::go_to(const Exercise& e) {
  current_ = e.name;
  save();
}

void Workshop::set_passed(const Exercise& e, bool passed) {
  if (passed)
    passed_.insert(e.name);
  else
    passed_.erase(e.name);
  save();
}

std::string Workshop::next_hint(const Exercise& e) {
  const std::vector<std::string> all = e.hints();
  if (all.empty()) return "no hints\n";
  const std::size_t shown = std::min(hints_[e.name], all.size() - 1);
  hints_[e.name] = shown + 1;
  save();
  return "Hint " + std::to_string(shown + 1) + " of " + std::to_string(all.size()) + ", " + all[shown];
}

/// Lines of two or three words: `passed neuron`, `hints mse 2`, `current mse`. Unknown lines are skipped.
void Workshop::load() {
  std::istringstream lines(read_file(folder_ + "/" + progress_file));
  current_ = exercises().front().name;
  const auto known = [](const std::string& name) {
    return std::any_of(exercises().begin(), exercises().end(), [&](const Exercise& e) { return e.name == name; });
  };
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what, name;
    std::size_t count = 0;
    words >> what >> name >> count;
    if (!known(name)) continue;
    if (what == "passed") passed_.insert(name);
    if (what == "current") current_ = name;
    if (what == "hints") hints_[name] = count;
  }
}

void Workshop::save() const {
  std::string text =
      "# What is passed, and where you are. A plain file: change it as you like.\ncurrent " + current_ + "\n";
  for (const Exercise& e : exercises()) {
    if (passed(e)) text += "passed " + e.name + "\n";
    if (const auto count = hints_.find(e.name); count != hints_.end() && count->second > 0)
      text += "hints " + e.name + " " + std::to_string(count->second) + "\n";
  }
  write_file(folder_ + "/" + progress_file, text);
}

}  // namespace handgrad::exercises
