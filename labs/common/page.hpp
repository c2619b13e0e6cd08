#pragma once
#include <string>

namespace handgrad::labs {

/// The step-through page of a lesson: one HTML file with everything in it. Its training is run here, and in each of up
/// to 41 epochs the first step is recorded, with the loss and the fit of that moment. D3 and KaTeX are taken from the
/// system's packages (node-d3, libjs-katex, fonts-katex). Throws IoError naming the file and its package when one is
/// missing.
std::string make_page(const std::string& lesson);

/// A page that leads to the pages of all lessons, `NAME/step.html` beside it.
std::string make_index();

/// Writes a lesson's page to `path` and shows it in a browser where there is a desktop. Returns the exit status.
int open_page(const std::string& lesson, const std::string& path);
/// The same for all lessons: their pages and, leading to them, index.html in `folder`.
int open_index(const std::string& folder);

}  // namespace handgrad::labs
