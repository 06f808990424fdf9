"""Clustering: the weights of each kernel share a few values while a model trains."""

import keras
import numpy as np

from export.compress.kernels import Kernel, kernels_of
from lnn_keras.argument_checks import require_choice

# Names of TFMOT's ways to choose the first centroids.
INITIALIZATIONS = {
    "linear": "LinearCentroidsInitialisation",
    "kmeans++": "KmeansPlusPlusCentroidsInitialisation",
    "density": "DensityBasedCentroidsInitialisation",
}
ROUNDS = 20


def cluster(
    model: keras.Model, clusters: int, *, initialization: str = "linear"
) -> keras.callbacks.Callback:
    """A callback that gives the weights of each kernel at most `clusters` values.

    Use it in `model.fit(..., callbacks=[cluster(model, 16)])` on a trained model. When the
    training begins, the centroids that TFMOT proposes move to the means of the weights that
    are nearest; then each weight stays in its cluster, whose value is the mean of what the
    optimizer made of its weights. Weights that are zero, pruned or of no synapse, stay
    zero, and zero is then one of the values.

    Args:
        model: A built model.
        clusters: Most different values of a kernel.
        initialization: TFMOT's way to choose the first centroids: "linear", "kmeans++" or
            "density".

    Raises:
        ValueError: The model is not built or has no kernel, fewer than 2 clusters, an
            unknown initialization.

    Reference: Han et al., Deep Compression, 2016, section 3.
    """
    kernels = kernels_of(model)
    if isinstance(clusters, bool) or not isinstance(clusters, int) or clusters < 2:
        raise ValueError(f"`clusters` must be a whole number from 2 on; received {clusters!r}.")
    require_choice("initialization", initialization, INITIALIZATIONS)
    return _Cluster(kernels, clusters, initialization)


class _Cluster(keras.callbacks.Callback):
    """The members of each kernel's clusters, brought together after each batch."""

    def __init__(self, kernels: tuple[Kernel, ...], clusters, initialization):
        super().__init__()
        self._kernels, self._clusters = kernels, clusters
        self._initialization = initialization
        self._members = []

    def on_train_begin(self, logs=None):
        self._members = [self._assign(kernel) for kernel in self._kernels]
        self._bring_together()

    def on_train_batch_end(self, batch, logs=None):
        self._bring_together()

    def _assign(self, kernel):
        """The cluster of each weight; 0 is that of the zeros."""
        kernel.variable.assign(kernel.variable * kernel.live)
        weights = kernel.variable.numpy()
        some = weights[weights != 0]
        members = np.zeros(weights.shape, "int32")
        if some.size == 0:
            return members
        centroids = self._centroids(weights)
        for _ in range(ROUNDS):
            nearest = np.abs(some[:, np.newaxis] - centroids).argmin(axis=1)
            centroids = np.array([some[nearest == i].mean() for i in np.unique(nearest)])
        members[weights != 0] = 1 + np.abs(some[:, np.newaxis] - centroids).argmin(axis=1)
        return members

    def _centroids(self, weights):
        """TFMOT's first centroids of the weights that are not zero."""
        import tensorflow  # noqa: F401 - TFMOT, imported first, turns `tf.keras` into Keras 2
        from tensorflow_model_optimization.python.core.clustering.keras import (
            clustering_centroids,
        )

        maker = getattr(clustering_centroids, INITIALIZATIONS[self._initialization])
        zeros = bool((weights == 0).any())
        made = maker(weights, self._clusters, preserve_sparsity=zeros).get_cluster_centroids()
        centroids = np.unique(np.asarray(made))
        return centroids[centroids != 0] if zeros else centroids

    def _bring_together(self):
        import tensorflow as tf

        for kernel, members in zip(self._kernels, self._members, strict=True):
            weights = tf.reshape(kernel.variable.value, [-1])
            flat = members.ravel()
            means = tf.math.unsorted_segment_mean(weights, flat, self._clusters + 1)
            # The zeros' cluster has the number 0.
            means = tf.concat([[0.0], means[1:]], axis=0)
            kernel.variable.assign(tf.reshape(tf.gather(means, flat), members.shape))
