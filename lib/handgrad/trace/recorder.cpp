#include "handgrad/trace/recorder.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "handgrad/base/errors.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/optim/optimizer.hpp"

namespace handgrad::trace {

namespace detail {
constinit thread_local Recorder* current = nullptr;
}

namespace {

using Role = Value::Role;
using Gradient = Assignment::Gradient;

bool same_numbers(const Array& a, const Array& b) {  // bit for bit: NaN equals itself
  return a.numbers.size() == b.numbers.size() &&
         std::memcmp(a.numbers.data(), b.numbers.data(), a.numbers.size() * sizeof(double)) == 0;
}

/// Where `word` occurs in a text as a whole name.
std::vector<std::size_t> occurrences(const std::string& text, const std::string& word) {
  const auto letter = [&](std::size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_');
  };
  std::vector<std::size_t> found;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size()))
    if (!(at > 0 && letter(at - 1)) && !letter(at + word.size())) found.push_back(at);
  return found;
}

void rename_symbol(Expression& expression, const std::string& from, const std::string& to) {
  if (expression.kind == Expression::Kind::Symbol && expression.name == from) expression.name = to;
  for (Expression& argument : expression.arguments) rename_symbol(argument, from, to);
}

void rename_symbol(Equation& equation, const std::string& from, const std::string& to) {
  if (equation.target == from) equation.target = to;
  if (equation.element) rename_symbol(*equation.element, from, to);
  const auto places = occurrences(equation.whole, from);
  for (auto place = places.rbegin(); place != places.rend(); ++place) equation.whole.replace(*place, from.size(), to);
  equation.whole_latex = latex_of_unicode(equation.whole);
}

/// dW = … becomes dW = dW_old + …
void add_old(Equation& equation) {
  const std::string old = equation.target + "_old";
  if (!equation.why.empty()) equation.why += " It is added to what an earlier backward has left.";
  equation.whole = old + " + " + equation.whole;
  equation.whole_latex = latex_of_unicode(old) + " + " + equation.whole_latex;
  if (!equation.element) return;
  Expression sum, before;
  before.kind = Expression::Kind::Symbol;
  before.name = old;
  before.indices = equation.indices;
  sum.kind = Expression::Kind::Call;
  sum.name = "+";
  sum.arguments = {before, *equation.element};
  equation.element = sum;
}

/// dp = … becomes dp = u∘(…), where u is one number, one per element, or one per row.
template <class T>
void multiply_by_upstream(Equation& equation, const Tensor<T>& u, const Tensor<T>& dp) {
  equation.whole = "u∘(" + equation.whole + ")";
  equation.whole_latex = "u \\circ (" + equation.whole_latex + ")";
  if (!equation.element) return;
  Expression product, factor;
  factor.kind = Expression::Kind::Symbol;
  factor.name = "u";
  if (u.numel() > 1 && !(u.shape() == dp.shape())) factor.indices = {equation.indices.at(0)};
  product.kind = Expression::Kind::Call;
  product.name = "*";
  product.arguments = {factor, *equation.element};
  equation.element = product;
}

std::string symbol(const Derivation& derivation, const std::string& name) {
  const auto renamed = derivation.rename.find(name);
  return renamed == derivation.rename.end() ? name : renamed->second;
}

std::string gradient_symbol(const Derivation& derivation, const std::string& name) {
  const auto renamed = derivation.rename.find("d" + name);
  return renamed == derivation.rename.end() ? "d" + symbol(derivation, name) : renamed->second;
}

/// A layer's own parameters, without those of its sublayers.
template <class T>
std::vector<NamedParameter<T>> own_parameters(const Layer<T>& layer) {
  auto all = layer.named_parameters();
  std::erase_if(all, [](const auto& entry) { return entry.first.find('.') != std::string::npos; });
  return all;
}

/// The first symbol of several numbers without an index: its formula is elementwise.
const Array* without_index(const Expression& e, const Symbols& symbols) {
  if (e.kind == Expression::Kind::Symbol && e.indices.empty())
    if (const auto found = symbols.find(e.name); found != symbols.end() && found->second->numbers.size() > 1)
      return found->second;
  for (const Expression& argument : e.arguments)
    if (const Array* found = without_index(argument, symbols)) return found;
  return nullptr;
}

/// The shape of an intermediate, from its formula.
Shape shape_of(const Equation& equation, const Symbols& symbols) {
  const auto range = ranges(*equation.element, symbols);
  Shape shape;
  for (const std::string& index : equation.indices) {
    if (!range.contains(index)) throw ShapeError("formula of " + equation.target + ": nothing is indexed by " + index);
    shape.push_back(range.at(index));
  }
  if (equation.indices.empty())
    if (const Array* like = without_index(*equation.element, symbols)) return like->shape;
  return shape;
}

}  // namespace

Recorder::Recorder() : outer_(detail::current) { detail::current = this; }

Recorder::~Recorder() {
  if (detail::current == this) detail::current = outer_;
}

Trace Recorder::stop() {
  if (detail::current == this) detail::current = outer_;
  return std::move(trace_);
}

template <class T>
Recorder::Source Recorder::source(const Tensor<T>& x) {
  const std::vector<T> numbers = x.to_vector();
  return {x.data(), {x.shape(), {numbers.begin(), numbers.end()}}, std::is_same_v<T, float>};
}

std::size_t Recorder::value_of(const Source& source, const std::string& name, Role role) {
  Value value{name, source.array, role, source.single, {}};
  if (const auto seen = at_.find(source.address); source.address && seen != at_.end()) {
    const Value& there = trace_.values[seen->second];
    if (same_numbers(there.array, source.array)) {
      if (there.array.shape == source.array.shape) return seen->second;
      value.name = there.name;  // the same elements, reshaped
      value.role = there.role;
      value.from = there.from;
    }
  }
  trace_.values.push_back(std::move(value));
  if (source.address) at_[source.address] = trace_.values.size() - 1;
  return trace_.values.size() - 1;
}

/// Records the equations of one call. If a target is assigned more than once, the last has the library's value.
void Recorder::write(Scope& scope, const Frame& frame, const std::vector<Equation>& equations, bool reads_everything) {
  for (auto equation = equations.begin(); equation != equations.end(); ++equation) {
    const bool last = std::none_of(equation + 1, equations.end(),
                                   [&](const Equation& later) { return later.target == equation->target; });
    write(scope, frame, *equation, reads_everything, last);
  }
}

/// Records one equation: reads its inputs from the scope and puts its result there.
void Recorder::write(Scope& scope, const Frame& frame, const Equation& equation, bool reads_everything, bool last) {
  Assignment a;
  a.phase = frame.phase;
  a.layer = frame.layer;
  a.label = frame.label;
  a.target = equation.target;
  a.formula = equation.whole;
  a.formula_latex = equation.whole_latex;
  a.indices = equation.indices;
  a.element = equation.element;
  a.why = equation.why;
  if (const auto gradient = frame.gradients.find(equation.target); gradient != frame.gradients.end())
    a.gradient = gradient->second;
  const auto names = equation.element ? symbols_of(*equation.element) : std::vector<std::string>();
  for (const std::string& name : names)  // in the order of the formula
    if (const auto known = scope.find(name); known != scope.end()) a.inputs.emplace_back(*known);
  for (const auto& [name, value] : scope)
    if (reads_everything || (!equation.element && !occurrences(equation.whole, name).empty()))
      a.inputs.emplace_back(name, value);

  Symbols symbols;
  for (const auto& [name, value] : a.inputs) symbols[name] = &trace_.values[value].array;
  Value result;
  result.name = (a.layer.empty() ? "" : a.layer + ".") + a.target;
  result.role = Role::Computed;
  result.from = trace_.assignments.size();
  const auto computed = frame.results.find(equation.target);
  a.by_library = last && computed != frame.results.end();
  try {
    if (a.by_library) {
      result.array = computed->second.array;
      result.single = computed->second.single;
      if (a.element) ranges(*a.element, symbols);
    } else {
      if (!a.element) throw ShapeError("formula of " + a.target + ": neither a value nor a formula of an element");
      result.array.shape = shape_of(equation, symbols);
      for (const auto& [name, value] : a.inputs) result.single |= trace_.values[value].single;
      for (std::size_t i = 0; i < result.array.shape.numel(); ++i) {
        const double number = evaluate(*a.element, symbols, place_in(result.array.shape, a.indices, i));
        result.array.numbers.push_back(result.single ? static_cast<double>(static_cast<float>(number)) : number);
      }
    }
  } catch (Error& error) {
    error.prepend("trace of " + a.label + ", " + a.target + " = " + a.formula + ": ");
    throw;
  }
  a.value = trace_.values.size();
  trace_.values.push_back(std::move(result));
  if (a.by_library) at_[computed->second.address] = a.value;
  scope[a.target] = a.value;
  trace_.assignments.push_back(std::move(a));
}

template <class T>
void Recorder::enter(const Layer<T>& root) {
  struct Walk {
    std::map<const void*, std::string>& places;
    void operator()(const Layer<T>& layer, const std::string& place) const {
      places[&layer] = place;
      for (const auto& [name, child] : layer.children()) (*this)(*child, place.empty() ? name : place + "." + name);
    }
  };
  if (!places_.contains(&root)) Walk{places_}(root, "");
}

template <class T>
void Recorder::forward(const Layer<T>& layer, const Tensor<T>& x, const Tensor<T>& y) {
  const Derivation d = layer.derivation(x.shape());
  const std::string place = places_[&layer], prefix = place.empty() ? "" : place + ".";
  Scope scope;
  scope[symbol(d, "x")] = value_of(source(x), "x", Role::Input);
  for (const auto& [name, parameter] : own_parameters(layer)) {
    const std::string own = symbol(d, name);
    owners_[parameter.value().data()] = {place, own};
    scope[own] = value_of(source(parameter.value()), prefix + own, Role::Parameter);
  }
  for (const auto& [name, array] : d.known) scope[name] = value_of({nullptr, array, false}, name, Role::Constant);
  for (const auto& [name, link] : d.links)
    scope[name] = value_of({link.address, link.array, link.single}, name, Role::Input);

  const Frame frame{Phase::Forward, place, layer.label(), {{symbol(d, "y"), source(y)}}, {}};
  if (d.forward.empty()) {
    std::string list = symbol(d, "x");
    for (const auto& [name, parameter] : own_parameters(layer))
      list += (list == symbol(d, "x") ? "; " : ", ") + symbol(d, name);
    write(scope, frame, {Equation::symbols(symbol(d, "y") + " = f(" + list + ")")}, true);
  }
  write(scope, frame, d.forward);
  scopes_[&layer] = scope;
}

template <class T>
void Recorder::before_backward(const Layer<T>& layer) {
  before_.clear();
  for (const auto& [name, parameter] : own_parameters(layer))
    if (parameter.has_grad()) before_[name] = value_of(source(parameter.grad()), "d" + name, Role::Input);
}

template <class T>
void Recorder::backward(const Layer<T>& layer, const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy,
                        const Tensor<T>& dx) {
  if (!scopes_.contains(&layer)) forward(layer, x, y);  // it ran before the recording began
  const Derivation d = layer.derivation(x.shape());
  Scope scope = scopes_[&layer];
  for (const auto& [name, array] : d.known)  // known only to the backward
    if (!scope.contains(name)) scope[name] = value_of({nullptr, array, false}, name, Role::Constant);
  scope[symbol(d, "δ")] = value_of(source(dy), "δ", Role::Input);
  for (const auto& [name, link] : d.links)
    scope[name] = value_of({link.address, link.array, link.single}, name, Role::Input);
  Frame frame{Phase::Backward, places_[&layer], layer.label(), {}, {}};
  if (layer.requires_input_grad()) frame.results[gradient_symbol(d, "x")] = source(dx);
  for (const auto& [name, parameter] : own_parameters(layer)) {
    if (!parameter.has_grad()) continue;  // not written by this backward
    const std::string gradient = gradient_symbol(d, name);
    frame.results[gradient] = source(parameter.grad());
    frame.gradients[gradient] = before_.contains(name) ? Gradient::Accumulated : Gradient::Fresh;
    if (before_.contains(name)) scope[gradient + "_old"] = before_[name];
  }

  auto equations = d.backward;
  const bool generic = equations.empty();
  if (generic)
    for (const auto& [target, result] : frame.results)
      equations.push_back(Equation::symbols(target + " = (∂f/∂" + target.substr(1) + ")ᵀ·" + symbol(d, "δ")));
  if (!layer.requires_input_grad())
    std::erase_if(equations, [&](const Equation& equation) { return equation.target == gradient_symbol(d, "x"); });
  for (const auto& [name, parameter] : own_parameters(layer))  // a frozen parameter has no gradient
    if (!parameter.requires_grad())
      std::erase_if(equations,
                    [&, &of = name](const Equation& equation) { return equation.target == gradient_symbol(d, of); });
  for (Equation& equation : equations)
    if (const auto g = frame.gradients.find(equation.target);
        g != frame.gradients.end() && g->second == Gradient::Accumulated)
      add_old(equation);
  write(scope, frame, equations, generic);
}

template <class T>
void Recorder::forward(const Loss<T>& loss, const Tensor<T>& p, const Tensor<T>& t, const Tensor<T>& value) {
  const Derivation d = loss.derivation(p.shape(), t.shape());
  Scope scope;
  scope[symbol(d, "p")] = value_of(source(p), "p", Role::Input);
  scope[symbol(d, "t")] = value_of(source(t), "target", Role::Input);
  for (const auto& [name, array] : d.known) scope[name] = value_of({nullptr, array, false}, name, Role::Constant);
  const Frame frame{Phase::Loss, "loss", loss.name(), {{symbol(d, "L"), source(value)}}, {}};
  if (d.forward.empty()) write(scope, frame, {Equation::symbols("L = L(p, t)")}, true);
  write(scope, frame, d.forward);
  scopes_[&loss] = scope;
}

template <class T>
void Recorder::backward(const Loss<T>& loss, const Tensor<T>& p, const Tensor<T>& t, const Tensor<T>& value,
                        const Tensor<T>* upstream, const Tensor<T>& dp) {
  if (!scopes_.contains(&loss)) forward(loss, p, t, value);
  const Derivation d = loss.derivation(p.shape(), t.shape());
  Scope scope = scopes_[&loss];
  const std::string gradient = gradient_symbol(d, "p");
  Frame frame{Phase::Backward, "loss", loss.name(), {}, {}};
  frame.results[gradient] = source(dp);
  if (upstream) scope["u"] = value_of(source(*upstream), "u", Role::Input);
  auto equations = d.backward;
  const bool generic = equations.empty();
  if (generic)
    equations = {Equation::symbols(gradient + (upstream ? " = u∘∂ℓ/∂" : " = ∂L/∂") + symbol(d, "p"))};
  else if (upstream)
    for (Equation& equation : equations)
      if (equation.target == gradient) multiply_by_upstream(equation, *upstream, dp);
  write(scope, frame, equations, generic);
}

/// The place of an optimizer's parameter i, and its symbol there; w if it has none, or if the optimizer's formulas use
/// that symbol for something else.
Recorder::Owner Recorder::owner(const void* address, std::size_t i, const Derivation& d) const {
  const auto found = owners_.find(address);
  if (found == owners_.end()) return {"parameter " + std::to_string(i), "w"};
  Owner owner = found->second;
  for (const auto& [name, array] : d.known)
    if (name == owner.symbol) owner.symbol = "w";
  return owner;
}

template <class T>
void Recorder::penalty(const std::vector<Parameter<T>>& weights, double lambda, const Tensor<T>& value) {
  Scope scope{{"λ", value_of({nullptr, constant(lambda), false}, "λ", Role::Constant)}};
  const Frame frame{Phase::Loss, "penalty", "L2Penalty", {{"P", source(value)}}, {}};
  std::vector<Equation> equations;
  std::string sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::string number = std::to_string(i + 1), symbol = "W" + number, part = "s" + number;
    const auto [place, own] = owner(weights[i].value().data(), i, {});
    scope[symbol] = value_of(source(weights[i].value()), place + "." + own, Role::Parameter);
    equations.emplace_back(part + " = Σ " + symbol + "²", part + " = sum(i: " + symbol + "[i]²)",
                           Why{"The weights, squared and added up."});
    sum += (i > 0 ? " + " : "") + part;
  }
  equations.emplace_back(("P = λ·(" + sum + ")").c_str(), Why{"Large weights cost: λ says how much."});
  write(scope, frame, equations);
}

template <class T>
void Recorder::before_penalty(const Parameter<T>& weight) {
  before_.clear();
  if (weight.has_grad()) before_["w"] = value_of(source(weight.grad()), "dw", Role::Input);
}

template <class T>
void Recorder::penalty(const Parameter<T>& weight, double lambda) {
  const auto [place, own] = owner(weight.value().data(), 0, {});
  const std::string gradient = "d" + own;
  Scope scope{{"λ", value_of({nullptr, constant(lambda), false}, "λ", Role::Constant)},
              {own, value_of(source(weight.value()), place + "." + own, Role::Parameter)}};
  Equation equation(("d" + own + " = 2·λ·" + own).c_str(),
                    Why{"The slope of λ·w² is 2·λ·w: it draws each weight to 0, the more the larger it is."});
  Frame frame{Phase::Backward, place, "L2Penalty", {{gradient, source(weight.grad())}}, {{gradient, Gradient::Fresh}}};
  if (before_.contains("w")) {
    frame.gradients[gradient] = Gradient::Accumulated;
    scope[gradient + "_old"] = before_["w"];
    add_old(equation);
  }
  write(scope, frame, {equation});
}

template <class T>
void Recorder::before_step(const Optimizer<T>& optimizer) {
  updates_.clear();
  update_scopes_.clear();
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const Parameter<T>& w = optimizer.parameters()[i];
    if (!w.has_grad()) continue;
    auto& [number, d] = updates_.emplace_back(i, optimizer.derivation(i));
    const auto [place, own] =
        owners_.contains(w.value().data()) ? owners_[w.value().data()] : Owner{"parameter " + std::to_string(i), "w"};
    for (Equation& equation : d.forward) {
      rename_symbol(equation, "w", own);
      rename_symbol(equation, "g", "d" + own);
    }
    Scope& scope = update_scopes_.emplace_back();
    scope[own] = value_of(source(w.value()), place + "." + own, Role::Parameter);
    scope["d" + own] = value_of(source(w.grad()), place + ".d" + own, Role::Input);
    for (const auto& [name, array] : d.known) scope[name] = value_of({nullptr, array, false}, name, Role::Constant);
  }
}

template <class T>
void Recorder::step(const Optimizer<T>& optimizer) {
  for (std::size_t k = 0; k < updates_.size(); ++k) {
    const auto& [i, d] = updates_[k];
    const Parameter<T>& w = optimizer.parameters()[i];
    const auto [place, own] =
        owners_.contains(w.value().data()) ? owners_[w.value().data()] : Owner{"parameter " + std::to_string(i), "w"};
    Frame frame{Phase::Update, place, optimizer.name(), {{own, source(w.value())}}, {}};
    for (const auto& [name, array] : optimizer.derivation(i).known) {
      const auto is_target = [&target = name](const Equation& equation) { return equation.target == target; };
      if (std::any_of(d.forward.begin(), d.forward.end(), is_target))
        frame.results[name] = {nullptr, array, std::is_same_v<T, float>};
    }
    if (d.forward.empty())
      write(update_scopes_[k], frame, {Equation::symbols(own + " = step(" + own + ", d" + own + ")")}, true);
    write(update_scopes_[k], frame, d.forward);
  }
}

#define HANDGRAD_INSTANTIATE(T)                                                                           \
  template void Recorder::enter(const Layer<T>&);                                                         \
  template void Recorder::forward(const Layer<T>&, const Tensor<T>&, const Tensor<T>&);                   \
  template void Recorder::before_backward(const Layer<T>&);                                               \
  template void Recorder::backward(const Layer<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, \
                                   const Tensor<T>&);                                                     \
  template void Recorder::forward(const Loss<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&);  \
  template void Recorder::backward(const Loss<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,  \
                                   const Tensor<T>*, const Tensor<T>&);                                   \
  template void Recorder::penalty(const std::vector<Parameter<T>>&, double, const Tensor<T>&);            \
  template void Recorder::before_penalty(const Parameter<T>&);                                            \
  template void Recorder::penalty(const Parameter<T>&, double);                                           \
  template void Recorder::before_step(const Optimizer<T>&);                                               \
  template void Recorder::step(const Optimizer<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)

}  // namespace handgrad::trace
