#pragma once

#include <string>
#include <string_view>

namespace handgrad {

/// The whole content of a file. Throws IoError naming the file when it is missing, no file, or cannot be read.
std::string read_file(const std::string& path);

/// Writes a file whole or not at all: into a new file beside it, flushed to the disk, which is then renamed. A program
/// that is killed, or a full disk, leaves what was there before. Devices and pipes (`/dev/stdout`) are written
/// directly. Throws IoError naming the file.
void write_file(const std::string& path, std::string_view content);

}  // namespace handgrad
