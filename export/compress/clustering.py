"""Weight clustering: the weights of each kernel share a few values while a model trains."""

from typing import Any

import keras
import numpy as np

from export import compat
from export.compress.kernels import Kernel, kernels_of, warn_of_other_matrices
from lnn_keras.argument_checks import require_choice

# TFMOT's classes that choose the first centroids.
INITIALIZATIONS = {
    "linear": "LinearCentroidsInitialisation",
    "kmeans++": "KmeansPlusPlusCentroidsInitialisation",
    "density": "DensityBasedCentroidsInitialisation",
}
ROUNDS = 20


def cluster(
    model: keras.Model, clusters: int, *, initialization: str = "linear"
) -> keras.callbacks.Callback:
    """Return a callback that gives the weights of each kernel at most `clusters` values.

    Use it in `model.fit(..., callbacks=[cluster(model, 16)])` on a trained model. At the start of
    training, k-means moves TFMOT's first centroids to the means of their nearest weights. Then
    each weight stays in its cluster, and after each batch all weights of a cluster are set to
    their mean. Zero weights (pruned, or no synapse) stay zero, and zero counts as one of the
    values.

    Args:
        model: A built model.
        clusters: Largest number of distinct values per kernel.
        initialization: TFMOT's choice of the first centroids: "linear", "kmeans++" or "density".

    Raises:
        ValueError: The model is not built or has no kernel, fewer than 2 clusters, an unknown
            initialization.

    Reference: Han et al., Deep Compression, 2016, section 3.
    """
    kernels = kernels_of(model)
    if isinstance(clusters, bool) or not isinstance(clusters, int) or clusters < 2:
        raise ValueError(f"`clusters` must be a whole number from 2 on; received {clusters!r}.")
    require_choice("initialization", initialization, INITIALIZATIONS)
    warn_of_other_matrices(model)
    return _Cluster(kernels, clusters, initialization)


class _Cluster(keras.callbacks.Callback):
    """Replaces weights by their cluster's mean after each batch."""

    def __init__(self, kernels: tuple[Kernel, ...], clusters: int, initialization: str):
        super().__init__()
        self._kernels, self._clusters = kernels, clusters
        self._initialization = initialization
        self._cluster_of_weights = []

    def on_train_begin(self, logs=None):
        self._cluster_of_weights = [self._assign(kernel) for kernel in self._kernels]
        self._average()

    def on_train_batch_end(self, batch, logs=None):
        self._average()

    def _assign(self, kernel):
        """The index of each weight's cluster; 0 is the cluster of zeros."""
        kernel.variable.assign(kernel.variable * kernel.live)
        weights = kernel.variable.numpy()
        nonzero = weights[weights != 0]
        cluster_of = np.zeros(weights.shape, "int32")
        if nonzero.size == 0:
            return cluster_of
        centroids = self._centroids(weights)
        for _ in range(ROUNDS):
            nearest = np.abs(nonzero[:, np.newaxis] - centroids).argmin(axis=1)
            centroids = np.array([nonzero[nearest == i].mean() for i in np.unique(nearest)])
        nearest = np.abs(nonzero[:, np.newaxis] - centroids).argmin(axis=1)
        cluster_of[weights != 0] = 1 + nearest
        return cluster_of

    def _centroids(self, weights):
        """TFMOT's first centroids of the nonzero weights."""
        library = compat.tfmot_centroid_initializers()
        initializer = getattr(library, INITIALIZATIONS[self._initialization])
        has_zeros = bool((weights == 0).any())
        centroids = initializer(
            weights, self._clusters, preserve_sparsity=has_zeros
        ).get_cluster_centroids()
        centroids = np.unique(np.asarray(centroids))
        return centroids[centroids != 0] if has_zeros else centroids

    def _average(self):
        """Set the weights of each cluster to their mean."""
        import tensorflow as tf

        for kernel, cluster_of in zip(self._kernels, self._cluster_of_weights, strict=True):
            variable: Any = kernel.variable
            weights = tf.reshape(variable.value, [-1])
            flat = cluster_of.ravel()
            means = tf.math.unsorted_segment_mean(weights, flat, self._clusters + 1)
            # Cluster 0 has the zeros.
            means = tf.concat([[0.0], means[1:]], axis=0)
            variable.assign(tf.reshape(tf.gather(means, flat), cluster_of.shape))
