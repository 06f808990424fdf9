"""Gradients and compiled functions on the backend that runs the tests."""

import keras


def gradients(loss, variables):
    """The gradient of `loss()` with respect to each Keras variable, as arrays."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        values = tape.gradient(value, [variable.value for variable in variables])
    elif keras.backend.backend() == "jax":
        import jax

        def loss_of(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return loss()

        values = jax.grad(loss_of)([variable.value for variable in variables])
    else:
        for variable in variables:
            variable.value.grad = None
        loss().backward()
        values = [variable.value.grad for variable in variables]
    return [keras.ops.convert_to_numpy(value) for value in values]


def compiled(function):
    """A function of tensors as one graph, where the backend has graphs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function
