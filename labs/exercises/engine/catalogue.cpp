#include "exercises/engine/catalogue.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::exercises {

namespace fs = std::filesystem;

std::string source_folder() { return HANDGRAD_EXERCISES_DIR; }

std::string Exercise::text(const std::string& file) const { return read_file(source + "/" + file); }

std::string Exercise::with_solution(const std::string& solution) const {
  const std::string stub = text("exercise.cpp");
  const std::size_t begin = stub.find('\n', stub.find("// TODO")), end = stub.find("// END");
  if (begin == std::string::npos || end == std::string::npos)
    throw ParseError(source + "/exercise.cpp: no fence from // TODO to // END");
  return stub.substr(0, begin + 1) + solution + stub.substr(end);
}

std::string fenced(const std::string& text) {
  const std::size_t begin = text.find('\n', std::min(text.find("// TODO"), text.size())), end = text.find("// END");
  return begin == std::string::npos || end == std::string::npos ? text : text.substr(begin + 1, end - begin - 1);
}

std::vector<std::string> Exercise::hints() const {
  std::vector<std::string> all;
  std::istringstream lines(text("hints.md"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("## ", 0) == 0)
      all.push_back(line.substr(3) + "\n");
    else if (!all.empty())
      all.back() += line + "\n";
  }
  return all;
}

const std::vector<Exercise>& exercises() {
  static const std::vector<Exercise> all = [] {
    std::vector<Exercise> found;
    for (const auto& entry : fs::directory_iterator(source_folder())) {
      const std::string folder = entry.path().filename().string();
      if (!entry.is_directory() || folder.size() < 4 || folder[2] != '_') continue;
      Exercise exercise{folder, folder.substr(3), "", entry.path().string()};
      const std::string readme = exercise.text("README.md");
      exercise.title = readme.substr(2, readme.find('\n') - 2);
      found.push_back(exercise);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.folder < b.folder; });
    return found;
  }();
  return all;
}

const Exercise& exercise(const std::string& name) {
  std::string names;
  for (const Exercise& e : exercises()) {
    const std::string number = e.folder.substr(e.folder[0] == '0' ? 1 : 0, e.folder[0] == '0' ? 1 : 2);
    if (name == e.name || name == e.folder || name == number) return e;
    names += " " + e.name;
  }
  throw ValueError("there is no exercise '" + name + "'; there are:" + names);
}

}  // namespace handgrad::exercises
