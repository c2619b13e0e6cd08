#pragma once

#include <string>
#include <string_view>

namespace handgrad {

/// The whole content of a file. Throws IoError naming the file if it is missing, not a file, or unreadable.
std::string read_file(const std::string& path);

/// Writes a file atomically: into a new file beside it, flushed to the disk and then renamed, so that a killed program
/// or a full disk leaves the old content. Devices and pipes (`/dev/stdout`) are written directly. Throws IoError naming
/// the file. Also removes what earlier writers that were killed left beside the file.
void write_file(const std::string& path, std::string_view content);

/// Writes `content` at byte `offset` of a file (created if missing), cuts off what follows, and flushes to the disk:
/// for files that grow. A killed program may leave any part of it, so the reader must know how many bytes count. Throws
/// IoError naming the file.
void write_file_at(const std::string& path, std::size_t offset, std::string_view content);

/// Removes the unfinished files of `write_file(path, …)` whose processes no longer run.
void remove_unfinished(const std::string& path);

}  // namespace handgrad
