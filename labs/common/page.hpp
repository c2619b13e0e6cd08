#pragma once
#include <string>

namespace handgrad::labs {

/// A lesson's step-through page: one self-contained HTML file. Runs the training and records the first step in each of
/// up to 41 epochs, with the loss and the fit at that moment. D3 and KaTeX come from the system's packages (node-d3,
/// libjs-katex, fonts-katex). Throws IoError naming a missing file and its package.
std::string make_page(const std::string& lesson);

/// A page that links to the pages of all lessons, `NAME/step.html` beside it.
std::string make_index();

/// Writes a lesson's page to `path` and opens it in a browser on a desktop. Returns the exit status.
int open_page(const std::string& lesson, const std::string& path);
/// The same for all lessons: their pages, and index.html with links to them, in `folder`.
int open_index(const std::string& folder);

}  // namespace handgrad::labs
