"""Gradients on whichever backend the tests run."""

import keras


def gradients(loss, variables):
    """The gradient of `loss()` with respect to each Keras variable, as arrays."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        found = tape.gradient(value, [variable.value for variable in variables])
    elif keras.backend.backend() == "jax":
        import jax

        def of_values(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return loss()

        found = jax.grad(of_values)([variable.value for variable in variables])
    else:
        for variable in variables:
            variable.value.grad = None
        loss().backward()
        found = [variable.value.grad for variable in variables]
    return [keras.ops.convert_to_numpy(gradient) for gradient in found]
