#include "common/page.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/lesson.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

extern char** environ;

namespace handgrad::labs {

namespace {

using json = nlohmann::ordered_json;  // symbols in their formula's order

// ---- What the page shows

constexpr std::size_t most_frames = 41, shown_points = 300;

/// Rounded for pictures, which need no more than this.
double rounded(double x) { return std::round(x * 1e4) / 1e4; }

json numbers(const Tensor<double>& x) {
  json all = json::array();
  for (double value : x.to_vector()) all.push_back(rounded(value));
  return all;
}

/// The inputs over which a picture is drawn, and its axes.
struct Canvas {
  Tensor<double> inputs;
  std::vector<double> x, y;  // grid columns and rows, or points on a line
};

Canvas canvas(const Lesson& lesson) {
  const auto range = [&](std::size_t column) {
    double low = INFINITY, high = -INFINITY;
    for (std::size_t i = 0; i < lesson.x.size(0); ++i) {
      low = std::min(low, lesson.x.item(i, column));
      high = std::max(high, lesson.x.item(i, column));
    }
    const double margin = 0.08 * (high - low);
    return std::array{low - margin, high + margin};
  };
  const auto points = [](std::array<double, 2> ends, std::size_t count) {
    std::vector<double> all;
    for (double value : linspace<double>(ends[0], ends[1], count).to_vector()) all.push_back(rounded(value));
    return all;
  };
  Canvas canvas;
  std::vector<double> inputs;
  if (lesson.picture == Lesson::Picture::Boundary) {
    canvas.x = points(range(0), 40), canvas.y = points(range(1), 40);
    for (double y : canvas.y)
      for (double x : canvas.x) inputs.push_back(x), inputs.push_back(y);
    canvas.inputs = Tensor<double>({canvas.x.size() * canvas.y.size(), 2}, inputs);
  } else if (lesson.picture == Lesson::Picture::Curve) {
    canvas.x = points(range(0), 160);
    for (double x : canvas.x) inputs.push_back(x);
    canvas.inputs = Tensor<double>({canvas.x.size(), 1}, inputs);
  } else {
    canvas.inputs = lesson.x;
  }
  return canvas;
}

/// The epochs that get a frame: all, or more of the early ones, in which more happens.
std::vector<std::size_t> frame_epochs(std::size_t last) {
  std::vector<std::size_t> epochs;
  for (std::size_t i = 0; i < most_frames; ++i) {
    const double part = static_cast<double>(i) / (most_frames - 1);
    const auto epoch = last < most_frames ? i : static_cast<std::size_t>(std::lround(part * part * double(last)));
    if (epoch <= last && (epochs.empty() || epoch > epochs.back())) epochs.push_back(epoch);
  }
  return epochs;
}

json lesson_json(const Lesson& lesson, const Canvas& canvas) {
  static const char* pictures[] = {"boundary", "curve", "rows"};
  const std::size_t points = std::min(shown_points, lesson.x.size(0));
  const auto* last = dynamic_cast<const Linear<double>*>(&lesson.net[lesson.net.size() - 1]);
  const std::size_t classes = lesson.logits && last ? std::max<std::size_t>(2, last->weight.shape()[0]) : 0;
  return {{"name", lesson.name},
          {"title", lesson.title},
          {"summary", lesson.summary},
          {"picture", pictures[static_cast<int>(lesson.picture)]},
          {"canvas", {{"x", canvas.x}, {"y", canvas.y}}},
          {"batch", lesson.batch},
          {"inputs", lesson.x.size(1)},
          {"classes", classes},
          {"logits", lesson.logits},
          {"x", numbers(lesson.x.rows(0, points))},
          {"y", numbers(lesson.y.rows(0, points))},
          {"data", {{"x", lesson.x.to_vector()}, {"y", lesson.y.to_vector()}}}};
}

/// An assignment's formula unfolded into the chain of derivatives whose product it is.
json unfolded(const trace::Assignment& assignment) {
  const bool binary = assignment.label == "BCEWithLogitsLoss", classes = assignment.label == "CrossEntropyLoss";
  if (!(binary || classes) || assignment.target != "dz") return nullptr;
  const auto step = [](const char* left, const char* formula, const char* right = "") {
    trace::Trace one;
    one.assignments.emplace_back();
    one.values.emplace_back();
    const trace::Equation equation(formula);
    one.assignments[0].target = equation.target;
    one.assignments[0].element = equation.element;
    return json{{"left", left}, {"right", right}, {"element", json::parse(to_json(one))["assignments"][0]["element"]}};
  };
  if (classes)
    return json::array(
        {{{"title", "Through the right class’s p = softmax(z), with ℓ = −log p: p cancels."},
          {"steps",
           {step("\\dfrac{\\partial\\ell}{\\partial p_t}", "c[n,j] = −1/sum(k: [t[n] = k]·p[n,k])"),
            step("\\dfrac{\\partial p_t}{\\partial z_j}", "c[n,j] = sum(k: [t[n] = k]·p[n,k])·([t[n] = j] − p[n,j])"),
            step("\\dfrac{\\partial\\ell}{\\partial z_j}",
                 "c[n,j] = −1/sum(k: [t[n] = k]·p[n,k])·(sum(k: [t[n] = k]·p[n,k])·([t[n] = j] − p[n,j]))",
                 "p_j - [t = j]")}}},
         {{"title", "Through s = log Σ eᶻ, with ℓ = s − z of the right class, as the forward computes it."},
          {"steps",
           {step("\\dfrac{\\partial s}{\\partial z_j}", "c[n,j] = p[n,j]"),
            step("\\dfrac{\\partial\\ell}{\\partial z_j}", "c[n,j] = p[n,j] − [t[n] = j]")}}},
         {{"title", "The mean over the batch divides by N."},
          {"steps", {step("\\dfrac{\\partial L}{\\partial z_j}", "c[n,j] = (p[n,j] − [t[n] = j])/N")}}}});
  return json::array(
      {{{"title", "Through p = σ(z), with ℓ = −t·log p − (1 − t)·log(1 − p): p(1 − p) cancels."},
        {"steps",
         {step("\\dfrac{\\partial\\ell}{\\partial p}", "c = (p − t)/(p·(1 − p))"),
          step("\\dfrac{\\partial p}{\\partial z}", "c = p·(1 − p)"),
          step("\\dfrac{\\partial\\ell}{\\partial z}", "c = (p − t)/(p·(1 − p))·(p·(1 − p))", "p - t")}}},
       {{"title", "Through s = log(1 + e⁻ᶻ), with ℓ = (1 − t)·z + s, as the forward computes it: nothing is divided."},
        {"steps",
         {step("\\dfrac{\\partial s}{\\partial z}", "c = p − 1"),
          step("\\dfrac{\\partial\\ell}{\\partial z}", "c = (1 − t) + (p − 1)", "p - t")}}},
       {{"title", "The mean over the batch divides by N."},
        {"steps", {step("\\dfrac{\\partial L}{\\partial z}", "c = (p − t)/N")}}}});
}

json step_json(const trace::Trace& step) {
  json all = json::parse(to_json(step));
  for (std::size_t i = 0; i < step.assignments.size(); ++i) {
    if (json chain = unfolded(step.assignments[i]); !chain.is_null()) all["assignments"][i]["unfold"] = chain;
  }
  return all;
}

/// Steps of the lesson's network with other activations, with a loss for classes and one for curves, without numbers:
/// for networks of other sizes that the page makes.
json kits(const Lesson& lesson) {
  json all = json::array();
  if (lesson.net.size() < 3) return all;  // no hidden layer
  using Layers = std::vector<std::shared_ptr<Layer<double>>>;
  const auto both = [](auto make) -> Layers { return {make(), make()}; };
  const std::vector<std::pair<const char*, Layers>> activations{
      {"Tanh", both([] { return std::make_shared<Tanh<double>>(); })},
      {"Sigmoid", both([] { return std::make_shared<Sigmoid<double>>(); })},
      {"ReLU", both([] { return std::make_shared<ReLU<double>>(); })},
      {"LeakyReLU", both([] { return std::make_shared<LeakyReLU<double>>(); })},
      {"ELU", both([] { return std::make_shared<ELU<double>>(); })},
      {"SiLU", both([] { return std::make_shared<SiLU<double>>(); })},
      {"Softplus", both([] { return std::make_shared<Softplus<double>>(); })}};
  for (const auto& [name, layers] : activations)
    for (const bool regression : {false, true}) {
      Sequential<double> net;
      std::size_t in = 2;
      for (std::size_t i = 0; i + 2 < lesson.net.size(); i += 2) {
        net.push_back(std::make_shared<Linear<double>>(in, 3));
        net.push_back(layers[i / 2]);
        in = 3;
      }
      net.push_back(std::make_shared<Linear<double>>(in, 1));
      auto optimizer = std::make_unique<SGD<double>>(net.parameters(), SGDOptions{.lr = 0.1});
      std::unique_ptr<Loss<double>> loss = std::make_unique<BCEWithLogitsLoss<double>>();
      if (regression) loss = std::make_unique<MSELoss<double>>();
      Training one({"", "", "", std::move(net), std::move(loss), std::move(optimizer), lesson.x.rows(0, 4),
                    zeros<double>({4, 1}), 4, 1, Lesson::Picture::Rows});
      json step = step_json(one.record());
      for (json& value : step["values"])
        if (value["role"] != "constant") value["data"] = json::array();
      all.push_back({{"activation", name}, {"regression", regression}, {"trace", std::move(step)}});
    }
  return all;
}

/// The text of a lesson: its lab's README.
std::string readme_of(const Lesson& lesson) {
  const std::string lab = lesson.name == "xor" ? "gabor" : lesson.name == "classes" ? "mnist" : lesson.name;
  return read_file(std::string(HANDGRAD_LABS_PAGE "/../") + lab + "/README.md");
}

json page_data(const std::string& name) {
  Training training(make_lesson(name));
  const Lesson& lesson = training.lesson();
  const Canvas canvas = labs::canvas(lesson);
  json frames = json::array();
  for (const std::size_t epoch : frame_epochs(lesson.epochs)) {
    while (training.epoch() < epoch) training.step();
    json frame{{"epoch", epoch}, {"loss", training.loss()}, {"picture", numbers(training.predict(canvas.inputs))}};
    frame["trace"] = step_json(training.record());
    frames.push_back(std::move(frame));
  }
  return {{"lesson", lesson_json(lesson, canvas)},
          {"frames", std::move(frames)},
          {"kits", kits(lesson)},
          {"readme", readme_of(lesson)}};
}

// ---- The file

struct Part {
  const char* package;
  std::vector<const char*> paths;  // as installed by different distributions
};
const Part d3{"node-d3", {"/usr/share/nodejs/d3/dist/d3.min.js", "/usr/share/javascript/d3/d3.min.js"}};
const Part katex{"libjs-katex",
                 {"/usr/share/javascript/katex/katex.min.js", "/usr/share/nodejs/katex/dist/katex.min.js"}};
const Part katex_style{"libjs-katex", {"/usr/share/javascript/katex/katex.min.css"}};
const std::string fonts = "/usr/share/fonts/truetype/katex/";

std::string content(const Part& part) {
  for (const char* path : part.paths)
    if (std::filesystem::exists(path)) return read_file(path);
  throw IoError(std::string("the page needs ") + part.paths[0] + ", of the package " + part.package +
                ": apt-get install " + part.package);
}

std::string base64(const std::string& bytes) {
  static const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned block = 0;
    for (std::size_t k = 0; k < 3; ++k)
      block = block << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[block >> (18 - 6 * k) & 63];
  }
  return out;
}

/// KaTeX's style with the fonts that our formulas need embedded; rules for other fonts are dropped.
std::string style_with_fonts() {
  const std::string css = content(katex_style);
  std::string out;
  for (std::size_t at = 0; at < css.size();) {
    const std::size_t rule = css.find("@font-face", at);
    out += css.substr(at, rule - at);
    if (rule == std::string::npos) break;
    const std::size_t end = css.find('}', rule);
    if (end == std::string::npos) break;
    std::string face = css.substr(rule, end + 1 - rule);
    at = end + 1;
    for (const char* used : {"KaTeX_Main-Regular", "KaTeX_Math-Italic", "KaTeX_AMS-Regular", "KaTeX_Size1-Regular",
                             "KaTeX_Size2-Regular", "KaTeX_Size3-Regular", "KaTeX_Size4-Regular"}) {
      const std::string file = std::string(used) + ".woff2";
      const std::size_t src = face.find("src:");
      if (face.find(file) == std::string::npos || src == std::string::npos) continue;
      const std::size_t src_end = std::min(face.find(';', src), face.size() - 1);
      if (!std::filesystem::exists(fonts + file))
        throw IoError("the page needs " + fonts + file + ", of the package fonts-katex: apt-get install fonts-katex");
      out += face.replace(src, src_end - src,
                          "src:url(data:font/woff2;base64," + base64(read_file(fonts + file)) + ") format('woff2')");
    }
  }
  return out;
}

/// The licences of the packages used.
std::string licences() {
  std::string text;
  for (const char* package : {"node-d3", "libjs-katex", "fonts-katex"}) {
    const std::string path = std::string("/usr/share/doc/") + package + "/copyright";
    text += std::string("==== ") + package + "\n\n";
    text += std::filesystem::exists(path) ? read_file(path) : "see the package " + std::string(package);
    text += "\n";
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

/// Escapes text inside a script element, so that nothing looks like its end.
std::string inside_script(std::string text) {
  for (std::size_t at = text.find("</"); at != std::string::npos; at = text.find("</", at + 3))
    text.insert(at + 1, "\\");
  return text;
}

/// Prints where a file is, and opens it in a browser on a desktop.
int show_page(const std::string& path) {
  const std::string full = std::filesystem::absolute(path).string();
  std::cout << full << '\n';
  if (!std::getenv("DISPLAY") && !std::getenv("WAYLAND_DISPLAY")) {
    std::cout << "Open this file in a browser. (There is no desktop here to open one on.)\n";
    return 0;
  }
  std::string program = "xdg-open", file = full;
  char* arguments[] = {program.data(), file.data(), nullptr};
  pid_t child = 0;
  int status = 0;
  if (posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0 ||
      waitpid(child, &status, 0) != child || status != 0)
    std::cout << "Open this file in a browser. (xdg-open did not.)\n";
  return 0;
}

/// The lessons in the order in which they build on each other, and the purpose of each.
const std::vector<std::pair<const char*, const char*>>& path_through() {
  static const std::vector<std::pair<const char*, const char*>> path{
      {"from_scratch", "One neuron: where a gradient comes from, and what a step does with it."},
      {"logistic", "A sigmoid behind it: the chain rule for the first time."},
      {"xor", "Hidden neurons: δ goes back through a layer."},
      {"network", "Two hidden layers: the same again, with nothing new but size."},
      {"classes", "More than two classes: softmax, and why δ is p − t again."},
      {"gabor", "A layer of your own: any formula that can be differentiated will do."}};
  return path;
}

std::string own(const char* file) { return read_file(std::string(HANDGRAD_LABS_PAGE "/") + file); }

}  // namespace

std::string make_page(const std::string& lesson) {
  const json data = page_data(lesson);
  std::string scripts = inside_script(content(d3)) + "\n</script>\n<script>\n" + inside_script(content(katex));
  for (const char* file : {"formula.js", "worksheet.js", "tables.js", "network.js", "graph.js", "training.js", "own.js",
                           "pictures.js", "check.js", "predict.js", "help.js", "readme.js", "main.js"})
    scripts += "\n</script>\n<script>\n" + inside_script(own(file));
  const std::vector<std::pair<std::string, std::string>> parts{{"{{title}}", escaped(data["lesson"]["title"])},
                                                               {"{{katex.css}}", style_with_fonts()},
                                                               {"{{page.css}}", own("page.css")},
                                                               {"{{licences}}", escaped(licences())},
                                                               {"{{data}}", inside_script(data.dump())},
                                                               {"{{scripts}}", scripts}};
  std::string page, rest = own("page.html");
  for (const auto& [mark, part] : parts) {  // in order of position, so that inserted parts are not searched
    const std::size_t at = rest.find(mark);
    if (at == std::string::npos) throw ParseError("page.html: " + mark + " is missing, or not in its place");
    page += rest.substr(0, at) + part;
    rest.erase(0, at + mark.size());
  }
  return page + rest;
}

std::string make_index() {
  std::string items;
  for (const auto& [name, why] : path_through()) {
    const Lesson lesson = make_lesson(name);
    items += "  <li><a href=\"" + std::string(name) + "/step.html\">" + escaped(lesson.title) + "</a><br>" +
             escaped(why) + "<br><small>" + escaped(lesson.summary) + "</small></li>\n";
  }
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<title>Lessons – handgrad</title>\n<style>\n" +
         own("page.css") +
         "</style>\n</head>\n<body>\n<header>\n  <h1>Backpropagation, one assignment at a time</h1>\n"
         "  <p>Each lesson is a network small enough to be looked at as a whole. Start at the top.</p>\n</header>\n"
         "<ol class=\"lessons\">\n" +
         items + "</ol>\n</body>\n</html>\n";
}

int open_page(const std::string& lesson, const std::string& path) {
  write_file(path, make_page(lesson));
  return show_page(path);
}

int open_index(const std::string& folder) {
  for (const auto& [name, why] : path_through()) {
    const std::filesystem::path file = std::filesystem::path(folder) / name / "step.html";
    std::filesystem::create_directories(file.parent_path());
    write_file(file.string(), make_page(name));
  }
  const std::string path = (std::filesystem::path(folder) / "index.html").string();
  write_file(path, make_index());
  return show_page(path);
}
}  // namespace handgrad::labs
