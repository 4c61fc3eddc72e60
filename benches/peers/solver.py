"""scikit-learn, PyTorch and liblinear, each on one thread, fitting what a bench gives them.

usage: solver.py; it prints its versions, then reads commands, one a line, and answers each with a line of numbers.
core/benches/solver/peer.rs is the other side. All objectives are `sum of NLL + l2 / 2 * |W|^2` of float64 sums on the float32 features, W having a row for
each class.
"""

import os
import statistics
import sys
import time
import warnings

# liblinear prints: answers get the standard output for themselves.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV

versions = [f"scikit-learn {sklearn.__version__}", f"numpy {np.__version__}"]
# The large one and the one that needs a C++ compiler may be missing.
try:
    import torch

    torch.set_num_threads(1)
    versions.append(f"PyTorch {torch.__version__}")
except ImportError:
    pass
try:
    from importlib.metadata import version

    from liblinear.liblinearutil import parameter, problem, train

    versions.append(f"liblinear {version('liblinear-official')}")
except ImportError:
    pass

warnings.filterwarnings("ignore")
# A run that needs more is not timed to its end.
MAX_ITERATIONS = 5000


class Data:
    """Float32 features [n, d], labels [n]; float64 features when they are first asked for."""

    def __init__(self, features, labels, n, d, n_classes):
        self.x = np.fromfile(features, "<f4").reshape(int(n), int(d))
        self.y = np.fromfile(labels, "<u2").astype(np.int64)
        self.n_classes = int(n_classes)
        self.wide = None

    def features(self, dtype):
        if dtype == "f32":
            return self.x
        if self.wide is None:
            self.wide = self.x.astype(np.float64)
        return self.wide

    def objective(self, weights, bias, l2):
        logits = self.features("f64") @ weights.T.astype(np.float64) + bias.astype(np.float64)
        top = logits.max(1)
        right = logits[np.arange(len(self.y)), self.y]
        losses = np.log(np.exp(logits - top[:, None]).sum(1)) + top - right
        return losses.sum() + 0.5 * l2 * (weights.astype(np.float64) ** 2).sum()


def two_rows(weights, bias):
    """One sigmoid's vector for class 1, as two rows of a softmax."""
    return np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2


# Each gives what is timed, and a function that makes weights, bias and iterations of its result.


def scikit_learn(data, dtype, l2, tolerance):
    x = data.features(dtype)
    c = 1 / l2 if data.n_classes > 2 else 2 / l2

    def fit():
        return LogisticRegression(C=c, tol=tolerance, max_iter=MAX_ITERATIONS).fit(x, data.y)

    def result(model):
        pair = model.coef_, model.intercept_
        return (*(pair if data.n_classes > 2 else two_rows(*pair)), model.n_iter_[0])

    return fit, result


def pytorch(data, dtype, l2, tolerance):
    x, y = data.features(dtype), data.y

    def fit():
        features, labels = torch.from_numpy(x), torch.from_numpy(y)
        weights = torch.zeros(data.n_classes, x.shape[1], dtype=features.dtype, requires_grad=True)
        bias = torch.zeros(data.n_classes, dtype=features.dtype, requires_grad=True)
        # Only the tolerance of the gradient, of the mean loss as in scikit-learn, and a standstill end it.
        optimiser = torch.optim.LBFGS(
            [weights, bias],
            max_iter=MAX_ITERATIONS,
            tolerance_grad=tolerance,
            tolerance_change=1e-14,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimiser.zero_grad()
            logits = torch.addmm(bias, features, weights.T)
            loss = torch.nn.functional.cross_entropy(logits, labels) + (0.5 * l2 / len(y)) * (weights * weights).sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        return weights, bias, optimiser

    def result(fitted):
        weights, bias, optimiser = fitted
        return weights.detach().numpy(), bias.detach().numpy(), optimiser.state[weights]["n_iter"]

    return fit, result


def liblinear(data, dtype, l2, tolerance):
    """Two classes only: with more it fits one against the rest, another objective. The bias is not penalised (-R). Its own
    copy of the features, sparse float64, is made before the clock starts."""
    samples = problem(data.y, data.features("f64"), 1)
    options = parameter(f"-s 0 -c {2 / l2} -e {tolerance} -B 1 -R -q")

    def fit():
        return train(samples, options)

    def result(model):
        weights, bias = model.get_decfun()
        sign = 1 if model.get_labels()[0] == 1 else -1
        return (*two_rows(sign * np.array([weights]), sign * np.array([bias])), 0)

    return fit, result


def timed(fit, runs):
    """Medians of wall-clock and CPU seconds, and the last result."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.thread_time()
        result = fit()
        cpus.append(time.thread_time() - cpu)
        walls.append(time.perf_counter() - wall)
    return statistics.median(walls), statistics.median(cpus), result


def memory(field):
    """Bytes, as /proc has them."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def photos(shared, features, labels):
    """Turns recorded features of photos into the files of `load`."""
    import json

    x = np.load(f"{shared}/data/features/signdigits10.efficientnet_lite0.npy")
    y = np.array(json.load(open(f"{shared}/data/splits/signdigits10.json"))["labels"])
    x.astype("<f4").tofile(features)
    y.astype("<u2").tofile(labels)
    return *x.shape, y.max() + 1


def main():
    data = None
    peers = {"scikit-learn": scikit_learn, "PyTorch": pytorch, "liblinear": liblinear}
    print(*versions, sep=", ", file=answers)
    for line in sys.stdin:
        command, *words = line.rstrip("\n").split("\t")
        match command:
            case "photos":
                answer = photos(*words)
            case "load":
                data = Data(*words)
                answer = data.x.shape
            case "objective":
                head = np.fromfile(words[0], "<f4")
                weights, bias = np.split(head, [data.n_classes * data.x.shape[1]])
                answer = (data.objective(weights.reshape(data.n_classes, -1), bias, float(words[1])),)
            case "fit":
                name, dtype, l2, tolerance, runs = words
                fit, result = peers[name](data, dtype, float(l2), float(tolerance))
                wall, cpu, fitted = timed(fit, int(runs))
                weights, bias, iterations = result(fitted)
                answer = data.objective(weights, bias, float(l2)), iterations, wall, cpu
            case "ridge":
                runs, *alphas = map(float, words)
                wall, cpu, model = timed(lambda: RidgeClassifierCV(alphas=alphas).fit(data.x, data.y), int(runs))
                answer = alphas.index(model.alpha_), wall, cpu
            case "memory":
                fit, _ = scikit_learn(data, "f32", float(words[0]), 1e-4)
                before = memory("VmRSS")
                fit()
                answer = (memory("VmHWM") - before,)
        print(*(repr(float(number)) for number in answer), file=answers)


main()
