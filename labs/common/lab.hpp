#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/figures.hpp"
#include "handgrad/base/device.hpp"

namespace handgrad::labs {

/// What the command line says.
struct Options {
  std::uint64_t seed = 0;           // of what a notebook left unseeded; the seeds that it sets stay as they are
  Device device;                    // where networks train
  std::optional<std::string> data;  // the folder with the notebooks' data sets
  std::string out;                  // where pictures and other files go
  std::size_t trials = 30;          // of a search for hyperparameters
  bool quick = false;               // short forms of what takes longer than a minute
};

/// What a lab is given: the options, and where its figures go.
struct Lab {
  const Options& options;
  Figures& figures;

  /// The title of a step, above what it prints.
  void section(const std::string& title) const;
  /// Says so where another device was asked for: `what` computes on the CPU in any case.
  void stays_on_cpu(const std::string& what) const;
  /// The path of a file or folder among the data sets; nothing when no folder was given, or it lacks this one.
  std::optional<std::string> data(const std::string& name) const;
  /// The path for a file to write, `OUT/from_scratch/fit.svg`; its folder is made.
  std::string out(const std::string& name) const;
};

/// Thrown by a lab whose training Ctrl-C has ended. No further lab is run.
struct Interrupted {};

struct Entry {
  std::string name;
  std::string notebook;  // empty: beyond them
  std::string summary;
  void (*run)(Lab&);

  /// `notebook 004`, or `beyond the notebooks`.
  std::string source() const;
};

/// All labs, in the order of their notebooks; what goes beyond them comes last.
const std::vector<Entry>& labs();

/// Runs the named ones, each with its heading, and prints the table of all figures. Writes them to `json` after each
/// lab, if it is not empty. A lab that throws is reported, and the next one runs. Returns the exit status: 0 when every
/// lab came to its end and no exact figure disagrees, 130 after Ctrl-C, else 1. Throws ValueError for a name that no
/// lab has.
int run_labs(const std::vector<std::string>& names, const Options& options, const std::string& json);

/// Is standard output a terminal that wants colours?
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
