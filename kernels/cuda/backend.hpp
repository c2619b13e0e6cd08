#pragma once
#include "kernels/backend.hpp"
#include "kernels/cuda/context.hpp"

namespace handgrad::kernels::cuda {

/// A GPU's operations; each subject in a file of its own (linear.cu, activations.cu, …), as in kernels/cpu.
template <class T>
class CudaBackend final : public Backend<T> {
 public:
  using A = formulas::Activation;
  using L = formulas::ElementLoss;

  explicit CudaBackend(Context& context) : context_(context) {}

  void fill(Tensor<T>& y, T value) override;
  void scale(Tensor<T>& y, T a) override;
  void add(Tensor<T>& y, T a, const Tensor<T>& x) override;
  void multiply_rows(Tensor<T>& y, const Tensor<T>& x) override;
  void gather_rows(const Tensor<T>& x, const Tensor<double>& rows, Tensor<T>& y) override;
  void sum_of_squares(const Tensor<T>& x, T a, Tensor<T>& value) override;

  void matmul(const Tensor<T>& a, bool transpose_a, const Tensor<T>& b, bool transpose_b, T beta,
              Tensor<T>& c) override;

  bool linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const A* f, Tensor<T>& y,
                      Tensor<T>* mask) override;
  std::size_t mask_size(const A& f, const Tensor<T>& y) const override;
  void linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) override;
  void linear_backward_parameters(const Tensor<T>& x, const Tensor<T>& dy, Accumulator<T> dW,
                                  Accumulator<T> db) override;
  void activation_linear_backward(const Tensor<T>& dy, const Tensor<T>& W, const A& f, const Tensor<T>& z,
                                  const Tensor<T>& x, const Tensor<T>* mask, Tensor<T>& dz, Accumulator<T> db) override;

  void activation_forward(const A& f, const Tensor<T>& z, Tensor<T>& y) override;
  void activation_backward(const A& f, const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy,
                           Tensor<T>& dz) override;
  void softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) override;
  void softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) override;
  void log_softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) override;
  void log_softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) override;

  void batch_norm_forward(const Tensor<T>& x, const Tensor<T>* gamma, const Tensor<T>* beta, T eps,
                          const RunningStatistics<T>& running, bool of_batch, Tensor<T>& mean, Tensor<T>& inv_std,
                          Tensor<T>& y) override;
  void batch_norm_backward(const Tensor<T>& x, const Tensor<T>& dy, const Tensor<T>* gamma, const Tensor<T>& mean,
                           const Tensor<T>& inv_std, bool of_batch, Tensor<T>& sums, Accumulator<T> dgamma,
                           Accumulator<T> dbeta, Tensor<T>* dx) override;
  void layer_norm_forward(const Tensor<T>& x, const Tensor<T>* gamma, const Tensor<T>* beta, T eps, Tensor<T>& mean,
                          Tensor<T>& inv_std, Tensor<T>& y) override;
  void layer_norm_backward(const Tensor<T>& x, const Tensor<T>& dy, const Tensor<T>* gamma, const Tensor<T>& mean,
                           const Tensor<T>& inv_std, Accumulator<T> dgamma, Accumulator<T> dbeta,
                           Tensor<T>* dx) override;
  void dropout(const formulas::Dropout& rule, bool advance, Tensor<double>& step, const Tensor<T>& x,
               Tensor<T>& y) override;

  void element_loss_forward(const L& f, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w, const Tensor<T>* q,
                            Reduction reduction, T a, Tensor<T>& value) override;
  void element_loss_backward(const L& f, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w, const Tensor<T>* q,
                             T a, Tensor<T>& dp) override;
  void row_loss_forward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w, Reduction reduction,
                        Tensor<T>& divisor, Tensor<T>& value) override;
  void row_loss_backward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                         const Tensor<T>& divisor, Tensor<T>& dp) override;

  void optimize(std::span<const Update<T>> updates) override;
  void clip_norm(std::span<Tensor<T>* const> grads, T max_norm, double p, Tensor<T>& norm) override;
  void clip_value(std::span<Tensor<T>* const> grads, T bound) override;

 private:
  Context& context_;
};

}  // namespace handgrad::kernels::cuda
