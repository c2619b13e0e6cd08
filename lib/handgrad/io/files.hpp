#pragma once

#include <string>
#include <string_view>

namespace handgrad {

/// The whole content of a file. Throws IoError naming the file when it is missing, no file, or cannot be read.
std::string read_file(const std::string& path);

/// Writes a file whole or not at all: into a new file beside it, flushed to the disk, which is then renamed. A program
/// that is killed, or a full disk, leaves what was there before. Devices and pipes (`/dev/stdout`) are written
/// directly. Throws IoError naming the file.
///
/// What a program that was killed while it wrote has left beside the file is removed with the next write.
void write_file(const std::string& path, std::string_view content);

/// Writes `content` at byte `offset` of a file, which is made where it is missing, cuts off what lay behind, and
/// flushes it to the disk: for what grows. A program that is killed leaves part of it, or all; whoever reads has to
/// know how many bytes count. Throws IoError naming the file.
void write_file_at(const std::string& path, std::size_t offset, std::string_view content);

/// Removes what `write_file(path, …)` of programs that no longer run has left beside the file.
void remove_unfinished(const std::string& path);

}  // namespace handgrad
