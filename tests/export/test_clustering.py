"""Clustering: few distinct weights, zeros that stay, and the size of the files."""

import keras
import numpy as np
import pytest
from export_models import (
    calibrated,
    compiled,
    convolutional,
    fit,
    sequential,
    step_file,
    weights_of,
)

import export
from export.compress import cluster, prune
from export.compress.kernels import kernels_of
from export.tflite_file import flatbuffer
from export.tflite_file.cost import gzip_bytes

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
layers = keras.layers


@pytest.mark.parametrize(
    "name", ["ltc", pytest.param("wired-cfc", marks=pytest.mark.slow), "stacked"]
)
def test_pruned_then_clustered(name, waves):
    """Zeros are a share of the wired synapses; clusters keep them; no weight turns negative."""
    # Two steps a sequence: running them eagerly is faster than tracing.
    model, waves = compiled(convolutional(name), run_eagerly=True), waves[:, :3]
    loss = fit(model, waves, epochs=1)[-1]
    fit(model, waves, prune(model, 0.75), epochs=2)
    for kernel in kernels_of(model):
        weights = kernel.variable.numpy()
        assert (weights[kernel.live == 0] == 0).all()
        live = weights[kernel.live > 0]
        assert np.mean(live == 0) == pytest.approx(0.75, abs=0.5 / live.size + 1e-6)
    pruned = weights_of(model)
    assert fit(model, waves, cluster(model, 5), epochs=2)[-1] < 3 * loss
    for path, weights in weights_of(model).items():
        assert len(np.unique(weights)) <= 5
        np.testing.assert_array_equal(weights == 0, pruned[path] == 0)
        if path.endswith("weight"):
            assert (weights >= 0).all()


@pytest.mark.parametrize("initialization", ["linear", "kmeans++", "density"])
def test_clusters_of_nonzero_weights(initialization, trainable, waves):
    model = trainable("lstm")
    fit(model, waves, cluster(model, 6, initialization=initialization), epochs=1)
    for weights in weights_of(model).values():
        assert 2 <= len(np.unique(weights)) <= 6


def test_an_int8_file_keeps_clusters(waves):
    layer = layers.SimpleRNN(16, return_sequences=True)
    model = compiled(sequential(layer, outputs=4, features=4))
    fit(model, waves, cluster(model, 8))
    file = flatbuffer.unpack(step_file(*calibrated(model, waves[:4])))
    kernels = [
        np.frombuffer(bytes(file.buffers[tensor.buffer].data), "int8").reshape(tensor.shape)
        for tensor in file.subgraphs[0].tensors
        if tensor.shape is not None
        and len(tensor.shape) == 2
        and flatbuffer.is_constant(file, tensor)
    ]
    assert sorted(kernel.shape for kernel in kernels) == [(4, 16), (16, 4), (16, 16)]
    for kernel in kernels:
        # Each unit has its scale, and at most as many values as there are clusters.
        assert max(len(np.unique(row)) for row in kernel) <= 8


@pytest.mark.slow
def test_compressed_files_are_smaller(waves):
    layer = layers.LSTM(32, return_sequences=True)
    model = compiled(sequential(layer, outputs=4, features=4))
    sizes = []
    for callback in (None, prune(model, 0.75), cluster(model, 16)):
        if callback:
            fit(model, waves, callback)
        sizes.append(gzip_bytes(step_file(export.to_step(model), recipe="float32")))
    assert sizes[1] < 0.5 * sizes[0] and sizes[2] < sizes[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: cluster(m, 1), "whole number from 2 on; received 1"),
        (lambda m: cluster(m, 4, initialization="lienar"), "initialization 'lienar'; allowed"),
        (
            lambda m: cluster(keras.Sequential([keras.Input((None, 2)), layers.ReLU()]), 4),
            "has no trainable kernel",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(sequential("simple"))
