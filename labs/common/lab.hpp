#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/figures.hpp"
#include "handgrad/base/device.hpp"

namespace handgrad::labs {

/// The command-line options.
struct Options {
  std::uint64_t seed = 0;           // for what a notebook leaves unseeded; the seeds it sets are kept
  Device device;                    // where networks train
  std::optional<std::string> data;  // the folder with the notebooks' data sets
  std::string out;                  // where pictures and other files go
  std::size_t trials = 30;          // of a hyperparameter search
  int ranks = 0;                    // 0: the whole lab; else only its part that trains on this many ranks
  bool rank_threads = false;        // ranks are threads of this process
  bool quick = false;               // shorter forms of what takes more than a minute
};

/// What a lab gets: the options, and a place for its figures.
struct Lab {
  const Options& options;
  Figures& figures;

  /// Prints the title of a step, the section of the lab's README that derives it, and the line of the source that takes
  /// it. The section is the one with the number `in_readme`, by default the title's first one ("4.2 …": 4). Throws
  /// ValueError if the README has none.
  void section(const std::string& title, std::string in_readme = "", const char* file = __builtin_FILE(),
               int line = __builtin_LINE()) const;
  /// If another device was requested, says that `what` computes on the CPU anyway.
  void stays_on_cpu(const std::string& what) const;
  /// The path of a file or folder in the data folder; empty if none was given or it is missing there.
  std::optional<std::string> data(const std::string& name) const;
  /// The path of an output file, `OUT/from_scratch/fit.svg`; creates its folder.
  std::string out(const std::string& name) const;
};

/// Thrown by a lab whose training Ctrl-C has ended; no further lab runs.
struct Interrupted {};

struct Entry {
  std::string name;
  std::string notebook;  // empty: beyond them
  std::string summary;
  void (*run)(Lab&);

  /// `notebook 004`, or `beyond the notebooks`.
  std::string source() const;
};

/// All labs in the order of their notebooks, then those beyond them.
const std::vector<Entry>& labs();

/// Runs the named labs, each with its heading, and prints the table of all figures, which it also writes to `json`
/// after each lab, unless empty. A lab that throws is reported, and the next one runs. Returns the exit status: 0 if
/// every lab finished and no exact figure disagrees, 130 after Ctrl-C, else 1. Throws ValueError for an unknown name.
int run_labs(const std::vector<std::string>& names, const Options& options, const std::string& json);

/// Whether standard output is a terminal that wants colours.
bool colours();

namespace detail {
struct Registration {
  Registration(const char* name, const char* notebook, const char* summary, void (*run)(Lab&));
};
}  // namespace detail

}  // namespace handgrad::labs

/// Defines and registers a lab:
///
///     HANDGRAD_LAB(from_scratch, "004", "a network with nothing ready-made") {
///       lab.section("1.1  One neuron");
///       …
///       lab.figures.exact("004.neuron", z, full_float("4.840000152587891"));
///     }
#define HANDGRAD_LAB(NAME, NOTEBOOK, SUMMARY)                                                                     \
  static void lab_##NAME(::handgrad::labs::Lab& lab);                                                             \
  static const ::handgrad::labs::detail::Registration registration_##NAME(#NAME, NOTEBOOK, SUMMARY, &lab_##NAME); \
  static void lab_##NAME([[maybe_unused]] ::handgrad::labs::Lab& lab)
