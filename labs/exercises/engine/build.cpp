#include "exercises/engine/build.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "exercises/engine/check.hpp"
#include "exercises/engine/repairs.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::exercises {

namespace fs = std::filesystem;

std::string glue(const std::string& file, const std::vector<std::string>& functions, const std::string& symbol) {
  std::string text = "#include \"" + file +
                     "\"\n#include <typeinfo>\n"
                     "struct HandgradEntry_" +
                     symbol +
                     " { const char* name; const char* type; void (*function)(); };\n"
                     "extern \"C\" const HandgradEntry_" +
                     symbol + " " + symbol +
                     "[];\n"
                     "const HandgradEntry_" +
                     symbol + " " + symbol + "[] = {\n";
  for (const std::string& f : functions)
    text += "    {\"" + f + "\", typeid(&" + f + ").name(), reinterpret_cast<void (*)()>(&" + f + ")},\n";
  return text + "    {nullptr, nullptr, nullptr}};\n" + "extern \"C\" void " + symbol +
         "_listen(stepping::Listener listener) { stepping::listener = listener; }\nextern \"C\" const char* const " +
         symbol + "_file;\nconst char* const " + symbol + "_file = \"" + file + "\";\n";
}

Outcome run_command(const std::vector<std::string>& command, double seconds, const std::function<bool()>& stop) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw IoError("no pipe for " + command[0]);
  const pid_t child = fork();
  if (child < 0) throw IoError("no process for " + command[0]);
  if (child == 0) {
    setpgid(0, 0);  // so that its children end with it
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  Outcome outcome;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  pollfd waiting{ends[0], POLLIN, 0};
  char buffer[4096];
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    outcome.stopped = stop && stop();
    if (left <= 0 || outcome.stopped) {
      outcome.timed_out = !outcome.stopped;
      kill(-child, SIGKILL);
      kill(child, SIGKILL);
      break;
    }
    if (poll(&waiting, 1, static_cast<int>(stop ? std::min<long>(left, 100) : left)) <= 0) continue;
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    if (outcome.output.size() < 1000000) outcome.output.append(buffer, static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::vector<std::string> compile_command(const std::string& source, const std::string& output,
                                         const std::vector<std::string>& flags) {
  std::vector<std::string> command{
      HANDGRAD_EXERCISES_COMPILER, "-std=c++20", "-fPIC", "-shared", "-I", source_folder()};
  command.insert(command.end(), flags.begin(), flags.end());
  command.insert(command.end(), {source, "-o", output});
  return command;
}

namespace {

/// A folder that is removed on destruction.
struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "handgrad-exercise-XXXXXX").string();
    if (!mkdtemp(name.data())) throw IoError("cannot make a folder in " + fs::temp_directory_path().string());
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Scratch(const Scratch&) = delete;
};

std::string first_lines(const std::string& text, std::size_t count) {
  std::istringstream lines(text);
  std::string result;
  std::size_t n = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("glue.cpp:") != std::string::npos) continue;  // ours, not the learner's
    if (n++ < count) result += "  " + line + "\n";
  }
  if (n > count) result += "  … " + std::to_string(n - count) + " lines more\n";
  return result;
}

/// The compiler's first message with this word ("error: "), and the number of further ones.
std::string first_message(const std::string& text, const std::string& word) {
  std::istringstream lines(text);
  std::string first;
  std::size_t count = 0;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const bool ours = line.find("glue.cpp:") != std::string::npos;  // not the learner's
    if (line.find("error: ") != std::string::npos || line.find("warning: ") != std::string::npos) {
      inside = !ours && line.find(word) != std::string::npos;
      count += inside;
    }
    if (inside && count == 1) first += line + "\n";
  }
  if (count == 0) return first_lines(text, 8);
  return first_lines(first, 8) + (count > 1 ? "  … " + std::to_string(count - 1) + " more\n" : "");
}

/// Whether the text seems to define this function.
bool mentions(const std::string& text, const std::string& function) {
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (std::size_t at = text.find(function); at != std::string::npos; at = text.find(function, at + 1)) {
    if (at > 0 && letter(text[at - 1])) continue;
    std::size_t next = at + function.size();
    while (next < text.size() && text[next] == ' ') ++next;
    if (next < text.size() && text[next] == '(') return true;
  }
  return false;
}

/// What can be said of a file without compiling it; possibly nothing.
std::string at_a_glance(const Exercise& exercise, const std::string& text) {
  if (std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c); }))
    return "the file is empty; `reset` puts it back as it was\n";
  if (!exercise.has_fault() && text == exercise.text("exercise.cpp"))
    return "not begun yet: write what belongs between TODO and END\n";
  for (const std::string& function : check_of(exercise.name).functions)
    if (!mentions(text, function))
      return "there is no function " + function + " in it; `reset` shows the one that is expected\n";
  return "";
}

/// The learner's file, built beside a text that lists its functions.
struct Built {
  Outcome compiler;
  std::string library;
};
Built build(const Scratch& scratch, const Exercise& exercise, const std::string& file, const std::string& name,
            const std::vector<std::string>& flags, const std::function<bool()>& stop) {
  const std::string source = (scratch.path / (name + ".cpp")).string(),
                    library = (scratch.path / (name + ".so")).string();
  write_file(source, glue(fs::absolute(file).string(), check_of(exercise.name).functions));
  return {run_command(compile_command(source, library, flags), 60, stop), library};
}

/// Warnings, and what stops at an index out of bounds.
std::vector<std::string> checked_flags(bool colour) {
  return {"-O0",
          "-g1",
          "-Wall",
          "-Wextra",
          "-Wshadow",
          "-Wconversion",
          "-Wno-unused-parameter",
          "-Wno-sign-compare",
          "-Wno-sign-conversion",
          "-fsanitize=address,undefined",
          "-fno-sanitize-recover=all",
          "-fdiagnostics-color=" + std::string(colour ? "always" : "never")};
}

/// A mistake that can be read off the file, if one of them, mended, makes it pass: the diagnosis in its words.
std::string read_off(const Scratch& scratch, const Exercise& exercise, const std::string& file,
                     const std::string& compiler_output, const std::function<bool()>& stop) {
  const std::string text = read_file(file);
  std::vector<Repair> repairs = integer_divisions(text);
  for (Repair& r : integer_variables(text, compiler_output, fs::path(file).filename().string()))
    repairs.push_back(std::move(r));
  for (const Repair& repair : repairs) {
    const std::string mended = (scratch.path / "mended.cpp").string();
    write_file(mended, repair.text);
    const Built built = build(scratch, exercise, mended, "mended_glue", {"-O0", "-w"}, stop);
    if (built.compiler.status != 0 || built.compiler.stopped) continue;
    const Outcome ran = run_command({HANDGRAD_EXERCISE_CHECK, exercise.name, built.library, "2"}, 15, stop);
    if (ran.status == 0)
      return "  What is wrong: " + repair.what + "\n  Evidence:      " + repair.evidence +
             "\n  Where to look: " + repair.where + "\n";
  }
  return "";
}

/// In what print_verdict printed.
void replace_diagnosis(std::string& text, const std::string& by) {
  const std::size_t begin = text.find("\n\n");
  if (begin == std::string::npos) return;
  const std::size_t end = text.find("\n\n", begin + 2);
  text = text.substr(0, begin + 2) + by + (end == std::string::npos ? "" : text.substr(end + 1));
}

/// The lines of a sanitizer's report that say what and where.
std::string crash_summary(const std::string& output, const std::string& file) {
  std::istringstream lines(output);
  std::string result;
  const std::string name = fs::path(file).filename().string();
  for (std::string line; std::getline(lines, line);)
    if (line.find("ERROR: AddressSanitizer") != std::string::npos || line.find("runtime error") != std::string::npos ||
        line.find(name + ":") != std::string::npos)
      result += line + "\n";
  return first_lines(result.empty() ? output : result, 8);
}

}  // namespace

Result step_file(const Exercise& exercise, const std::string& file, double limit) {
  if (!fs::exists(file)) return {false, "there is no " + file + "; `reset` puts it back\n"};
  if (const std::string seen = at_a_glance(exercise, read_file(file)); !seen.empty()) return {false, seen};
  const Scratch scratch;
  const auto [built, library] = build(scratch, exercise, file, "glue", checked_flags(false), {});
  if (built.status != 0) return {false, "it does not compile:\n" + first_message(built.output, "error: ")};
  const Outcome ran =
      run_command({HANDGRAD_EXERCISE_CHECK, exercise.name, library, std::to_string(limit), "--step"}, 5 * limit + 5);
  if (ran.status > 1) return {false, "it crashed:\n" + crash_summary(ran.output, file)};
  return {true, ran.output};
}

Result check_file(const Exercise& exercise, const std::string& file, bool colour, double limit,
                  const std::function<bool()>& stop) {
  if (!fs::exists(file)) return {false, "there is no " + file + "; `reset` puts it back\n"};
  if (const std::string seen = at_a_glance(exercise, read_file(file)); !seen.empty()) return {false, seen};
  const Scratch scratch;
  const auto [built, library] = build(scratch, exercise, file, "glue", checked_flags(colour), stop);
  if (built.stopped) return {false, "", true};
  if (built.timed_out) return {false, "the compiler took longer than a minute\n"};
  if (built.status != 0) return {false, "it does not compile:\n" + first_message(built.output, "error: ")};

  std::vector<std::string> command{HANDGRAD_EXERCISE_CHECK, exercise.name, library, std::to_string(limit)};
  if (colour) command.push_back("--colour");
  // The child stops by itself after `limit` seconds of computing; if it waits instead, we stop it.
  const Outcome ran = run_command(command, 5 * limit + 5, stop);
  if (ran.stopped) return {false, "", true};
  Result verdict{ran.status == 0, ran.output};
  if (ran.timed_out)
    verdict = {false, "stopped: it neither computes nor ends\n"};
  else if (ran.status > 1 && ran.status != too_long)
    verdict.text = "it crashed:\n" + crash_summary(ran.output, file);
  if (ran.status == 1)
    if (const std::string found = read_off(scratch, exercise, file, built.output, stop); !found.empty())
      replace_diagnosis(verdict.text, found);
  if (!built.output.empty()) verdict.text += "\nThe compiler warns:\n" + first_message(built.output, "warning: ");
  return verdict;
}

}  // namespace handgrad::exercises
