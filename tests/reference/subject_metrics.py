"""metrics.json: scikit-learn's metrics, ties and 0/0 included."""

import warnings

import numpy as np
import sklearn
from sklearn import metrics as m
from sklearn.utils.class_weight import compute_class_weight

from common import write

RS = np.random.RandomState(24)


def classification():
    for name, truth, predicted in (
        ("binary", RS.randint(0, 2, 50), RS.randint(0, 2, 50)),
        ("perfect", [0, 1, 1, 0, 1], [0, 1, 1, 0, 1]),
        ("all_wrong", [0, 1, 1, 0, 1], [1, 0, 0, 1, 0]),
        ("never_predicted", [0, 1, 1, 0, 1], [0, 0, 0, 0, 0]),  # precision of class 1 is 0/0
        ("never_true", [0, 0, 0, 0], [0, 1, 0, 1]),  # recall of class 1 is 0/0
        ("one_class", [0, 0, 0], [0, 0, 0]),
        ("four", RS.randint(0, 4, 97), RS.randint(0, 4, 97)),
        ("three_unbalanced", np.repeat([0, 1, 2], [90, 8, 2]), np.repeat([0, 1, 0, 2], [85, 10, 4, 1])),
        ("missing_class", [0, 2, 3, 3, 2, 0], [0, 2, 2, 3, 3, 0]),
        ("thousands", np.repeat([0, 1], [1500, 700]), np.repeat([0, 1, 0], [1400, 750, 50])),
    ):
        truth, predicted = np.asarray(truth), np.asarray(predicted)
        labels = np.unique(np.concatenate([truth, predicted]))
        case = {"name": name, "truth": truth, "predicted": predicted, "labels": labels,
                "accuracy": m.accuracy_score(truth, predicted), "confusion": m.confusion_matrix(truth, predicted),
                "report": m.classification_report(truth, predicted, zero_division=0),
                "report_named": m.classification_report(truth, predicted, zero_division=0, digits=3,
                                                        target_names=[f"class {c}" for c in labels])}
        for average in (None, "macro", "weighted", "micro"):
            p, r, f, s = m.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)
            case[average or "each"] = {"precision": p, "recall": r, "f1": f} | ({"support": s} if s is not None else {})
        if set(labels) <= {0, 1}:
            p, r, f, _ = m.precision_recall_fscore_support(truth, predicted, average="binary", zero_division=0)
            case["binary"] = {"precision": p, "recall": r, "f1": f}
        yield case


def ranking():
    for name, truth, scores in (
        ("distinct", RS.randint(0, 2, 40), np.round(RS.randn(40), 3)),
        ("ties", RS.randint(0, 2, 60), np.round(RS.rand(60), 1)),
        ("all_tied", [0, 1, 1, 0, 1], [0.5] * 5),
        ("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]),
        ("reversed", [1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4]),
        ("two", [0, 1], [0.2, 0.1]),
        ("unbalanced", (np.arange(100) % 20 == 3).astype(int), np.round(RS.rand(100), 2)),
        ("textbook", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]),
    ):
        fpr, tpr, thresholds = m.roc_curve(truth, scores)
        full = m.roc_curve(truth, scores, drop_intermediate=False)
        precision, recall, cuts = m.precision_recall_curve(truth, scores)
        yield {"name": name, "truth": truth, "scores": scores,
               "roc": {"fpr": fpr, "tpr": tpr, "thresholds": thresholds},
               "roc_full": {"fpr": full[0], "tpr": full[1], "thresholds": full[2]},
               "auc": m.roc_auc_score(truth, scores),
               "pr": {"precision": precision, "recall": recall, "thresholds": cuts},
               "average_precision": m.average_precision_score(truth, scores)}


def regression():
    for name, truth, predicted in (
        ("near", np.round(RS.randn(30), 3), None), ("one", [2.0], [1.5]), ("perfect", [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]),
        ("constant_truth", [3.0, 3.0, 3.0], [2.0, 3.0, 4.0]), ("constant_both", [3.0, 3.0], [3.0, 3.0]),
        ("worse_than_mean", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
    ):
        truth = np.asarray(truth)
        predicted = np.round(truth + 0.3 * RS.randn(len(truth)), 3) if predicted is None else np.asarray(predicted)
        yield {"name": name, "truth": truth, "predicted": predicted, "r2": m.r2_score(truth, predicted),
               "mse": m.mean_squared_error(truth, predicted), "mae": m.mean_absolute_error(truth, predicted)}


def class_weights():
    for y in ([0, 0, 0, 1], [0, 1, 2, 2, 2, 1, 0, 0, 0, 0], [1, 1, 1], [-1, 3, 3]):
        classes = np.unique(y)
        yield {"y": y, "classes": classes, "balanced": compute_class_weight("balanced", classes=classes, y=np.asarray(y))}


def generate():
    warnings.simplefilter("ignore")
    write("metrics", [np, sklearn], classification=list(classification()), ranking=list(ranking()),
          regression=list(regression()), class_weight=list(class_weights()))
