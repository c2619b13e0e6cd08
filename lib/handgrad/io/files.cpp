#include "handgrad/io/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "handgrad/base/errors.hpp"

namespace handgrad {
namespace {

namespace fs = std::filesystem;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

[[noreturn]] void fail(const std::string& path, const char* what, int error = errno) {
  throw IoError(path + ": " + what + ": " + std::generic_category().message(error));
}

void flush_to_disk(int file, const std::string& path) {
  // A full disk or quota may show only here, and then the old file must not be replaced. Pipes and terminals have no
  // fsync and need none.
  if (::fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS) fail(path, "cannot be written");
}

void write_to(const fs::path& path, std::string_view content, const std::string& asked_for) {
  File file(std::fopen(path.c_str(), "wb"));
  if (!file) fail(asked_for, "cannot be opened for writing");
  const bool written = std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  if (!written || std::fflush(file.get()) != 0) fail(asked_for, "cannot be written");
  flush_to_disk(::fileno(file.get()), asked_for);
}

constexpr std::string_view unfinished = ".part-";  // followed by the id of the writing process

}  // namespace

std::string read_file(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw IoError(path + ": is a directory, a file expected");
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) fail(path, "cannot be opened");
  std::string content;
  constexpr std::uintmax_t reserved_at_most = std::uintmax_t{1} << 30;
  if (const std::uintmax_t size = fs::file_size(path, error); !error) content.reserve(std::min(size, reserved_at_most));
  char block[1 << 16];
  while (const std::size_t got = std::fread(block, 1, sizeof block, file.get())) content.append(block, got);
  if (std::ferror(file.get())) fail(path, "cannot be read");
  return content;
}

void write_file(const std::string& path, std::string_view content) {
  std::error_code error;
  fs::path target = path;
  if (fs::is_symlink(target, error)) {  // the link itself is kept
    target = fs::canonical(target, error);
    if (error) fail(path, "is a link that leads nowhere", error.value());
  }
  if (fs::is_directory(target, error)) throw IoError(path + ": is a directory, a file expected");
  if (fs::exists(target, error) && !fs::is_regular_file(target, error)) return write_to(target, content, path);

  const fs::path beside = target.string() + std::string(unfinished) + std::to_string(::getpid());
  try {
    write_to(beside, content, path);
    fs::rename(beside, target, error);
    if (error) fail(path, "cannot be replaced", error.value());
  } catch (...) {
    fs::remove(beside, error);
    throw;
  }
  remove_unfinished(target.string());
}

void write_file_at(const std::string& path, std::size_t offset, std::string_view content) {
  const int opened = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);  // "wb" would truncate it
  if (opened < 0) fail(path, "cannot be opened for writing");
  File file(::fdopen(opened, "wb"));
  if (!file) fail(path, "cannot be opened for writing");
  const auto at = static_cast<off_t>(offset);
  const bool written = ::ftruncate(::fileno(file.get()), at) == 0 && ::fseeko(file.get(), at, SEEK_SET) == 0 &&
                       std::fwrite(content.data(), 1, content.size(), file.get()) == content.size();
  if (!written || std::fflush(file.get()) != 0) fail(path, "cannot be written");
  flush_to_disk(::fileno(file.get()), path);
}

void remove_unfinished(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  const std::string begin = fs::path(path).filename().string() + std::string(unfinished);
  for (fs::directory_iterator entry(folder.empty() ? "." : folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(begin)) continue;
    pid_t process = 0;
    const char* last = name.data() + name.size();
    const auto [after, wrong] = std::from_chars(name.data() + begin.size(), last, process);
    if (wrong != std::errc() || after != last || process <= 0) continue;  // not one of our names
    if (::kill(process, 0) == 0 || errno != ESRCH) continue;              // still being written
    std::error_code ignored;
    fs::remove(entry->path(), ignored);
  }
}

}  // namespace handgrad
