"""lnn_keras.plot: the content of each figure, bad input, and figures that matplotlib accepts."""

import builtins
import io
import warnings

import keras
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import lnn_keras
from lnn_keras import families, plot, wirings
from lnn_keras.plot import distributions, style
from lnn_keras.plot.synapse_graph import graph_of

NAMES = ["$speed_x$", "a_b^c", "x" * 90]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Keras on TensorFlow converts variables in a way that NumPy 2 deprecates.
        warnings.filterwarnings("ignore", "__array__", DeprecationWarning)
        yield


@pytest.fixture(scope="module")
def cell():
    keras.utils.set_random_seed(0)
    cell = lnn_keras.LiquidCell(4)
    cell.build((None, 3))
    return cell


def random(*shape):
    return np.random.default_rng(0).normal(size=shape)


def numpy(variable):
    return keras.ops.convert_to_numpy(variable)


def texts(figure):
    """Every visible text of a figure, in one string."""
    figure.canvas.draw()
    found = figure.findobj(matplotlib.text.Text)
    return "\n".join(text.get_text() for text in found if text.get_visible())


def svg(figure):
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "test"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def lines_of(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def luminance(color):
    return float(np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722)))


def figures(cell):
    """One figure of each kind, with names that look like formulas."""
    signal = random(2, 20, 3)
    return {
        "wiring": plot.wiring(cell, inputs=NAMES),
        "states": plot.states(signal, names=NAMES),
        "time_constants": plot.time_constants(np.exp(signal), signal=signal, names=NAMES),
        "phase_portrait": plot.phase_portrait(cell, signal, names=NAMES[:2]),
        "saliency": plot.saliency(signal, signal, names=NAMES),
        "history": plot.history({"loss": [1, 0.5], "$a_b$": [1, 2]}),
        "calibration": plot.calibration(signal, mean=0 * signal, variance=1 + 0 * signal),
        "prediction": plot.prediction(signal, signal + 1, names=NAMES),
        "drift": plot.drift({NAMES[0]: signal[0, :, 0] ** 2}, change=10),
    }


def test_names_are_not_read_as_formulas_and_settings_stay(cell):
    before = dict(matplotlib.rcParams)
    for name, figure in figures(cell).items():
        file = io.BytesIO()
        figure.savefig(file, format="png")
        assert len(file.getvalue()) > 5000, name
    assert dict(matplotlib.rcParams) == before
    # The axis texts keep every sign.
    assert "$speed_x$" in texts(plot.drift({NAMES[0]: np.ones(5)}))


def test_narrow_figures_hold_all_their_parts(cell):
    signal, size = random(20, 3), (4.2, 5)
    for figure in (
        plot.time_constants(np.exp(signal), signal=signal, names=NAMES, size=size),
        plot.saliency(signal, signal, names=NAMES, size=size),
        plot.drift({name: np.ones(9) for name in [*NAMES, "one", "two"]}, size=size),
        plot.phase_portrait(cell, signal, names=NAMES[1:], size=size),
        plot.wiring(cell, inputs=NAMES, size=size),
    ):
        assert tuple(figure.get_size_inches()) == size
        for axis in figure.axes:
            texts = [*axis.texts, axis.get_legend()] if axis.get_legend() else axis.texts
            for part in [*texts, axis.title, axis._left_title]:
                box = part.get_window_extent()
                assert box.x0 >= figure.bbox.x0 and box.x1 <= figure.bbox.x1, part


def test_bytes_are_the_same_each_time():
    values = random(30, 5)
    assert svg(plot.states(values)) == svg(plot.states(values))
    assert svg(plot.wiring(wirings.AutoNCP(8, 2), 2)) == svg(plot.wiring(wirings.AutoNCP(8, 2), 2))


def test_dark_settings_do_not_matter():
    with matplotlib.rc_context({"axes.facecolor": "black", "text.usetex": True, "font.size": 40}):
        figure = plot.drift(np.ones(100), title="plain")
    assert luminance(figure.axes[0].get_facecolor()[:3]) == pytest.approx(1)
    assert figure.axes[0].xaxis.label.get_fontsize() < 12
    assert not figure.axes[0].xaxis.label.get_usetex()


def test_without_matplotlib(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r'pip install "lnn-keras\[plot\]"'):
        plot.states(random(3, 2))


@pytest.mark.parametrize("size", [(0, 3), (4,), "wide", (float("nan"), 3), (400, 3)])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="`size` must be"):
        plot.states(random(3, 2), size=size)


class TestWiring:
    def segments(self, figure):
        collections = figure.axes[0].collections
        return sum(len(c.get_segments()) for c in collections if hasattr(c, "get_segments"))

    def test_ncp(self):
        wiring = wirings.AutoNCP(16, 2)
        connections = wiring.connect(3)
        figure = plot.wiring(wiring, ["speed", "angle", "$x_1$"], ["left", "right"])
        loops = np.count_nonzero(np.diag(connections.recurrent))
        assert self.segments(figure) == connections.synapse_count - loops
        shown = texts(figure)
        for text in ("speed", "$x_1$", "left", "inter\nneurons", "command\nneurons", "inhibits"):
            assert text in shown
        assert f"3 inputs, 16 neurons, {connections.synapse_count} synapses" in shown

    def test_trained_weights_and_signs_of_ltc(self):
        cell = lnn_keras.LTCCell(wirings.Random(5, 2, sparsity=0.5))
        cell.build((None, 3))
        cell.recurrent.reversal.assign(-cell.recurrent.reversal)
        graph, connections = graph_of(cell, None), cell.wiring.connect(3)
        np.testing.assert_array_equal(np.sign(graph.sensory), connections.sensory)
        np.testing.assert_array_equal(np.sign(graph.recurrent), -connections.recurrent)
        weights = np.abs(graph.sensory[cell.sensory.sources, cell.sensory._targets])
        np.testing.assert_allclose(weights, numpy(cell.sensory.weight))
        titles = [title for title, _ in graph.layers]
        assert titles == ["hidden", "outputs"]

    def test_signs_differ_in_line_style_and_luminance(self, cell):
        figure = plot.wiring(cell)
        positive, negative = figure.axes[0].get_legend().legend_handles
        assert positive.get_linestyle() != negative.get_linestyle()
        assert abs(luminance(positive.get_color()) - luminance(negative.get_color())) > 0.2

    def test_strongest_of_dense_cells(self, cell):
        figure = plot.wiring(cell, strongest=5)
        assert "The 5 strongest of 24 synapses" in texts(figure)
        assert "LiquidCell: 3 inputs, 4 neurons" in texts(figure)

    def test_gates_and_wired_cfc_have_no_sign(self):
        lstm = keras.layers.LSTMCell(3)
        lstm.build((None, 2))
        graph = graph_of(lstm, None)
        kernel = numpy(lstm.kernel)
        np.testing.assert_allclose(graph.sensory[1, 2], np.linalg.norm(kernel[1, 2::3]), rtol=1e-5)
        wired = lnn_keras.WiredCfCCell(wirings.AutoNCP(8, 2))
        wired.build((None, 2))
        assert graph_of(wired, None).signs == ("synapse",)
        assert "inhibits" not in texts(plot.wiring(wired))

    def test_models_layers_and_inner_cells(self, cell):
        inputs = keras.Input((None, 3))
        layer = lnn_keras.LiquidRNN(lnn_keras.LTCCell(wirings.AutoNCP(8, 2)), name="rnn")
        model = keras.Model(inputs, keras.Sequential([layer])(inputs))
        assert "LTCCell, AutoNCP: 3 inputs" in texts(plot.wiring(model))
        mixed = lnn_keras.MixedMemoryCell(lnn_keras.LTCCell(wirings.AutoNCP(8, 2)))
        mixed.build((None, 3))
        assert graph_of(mixed, None).name.startswith("LTCCell")

    @pytest.mark.parametrize("units", [1, 200])
    def test_sizes(self, units):
        figure = plot.wiring(wirings.FullyConnected(units), inputs=4)
        expected = 4 * units + units * units
        assert f"{expected:,} synapses" in texts(figure)

    def test_bad_input(self, cell):
        wiring = wirings.AutoNCP(8, 2)
        dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        two = keras.Sequential(
            [
                keras.Input((None, 3)),
                lnn_keras.LiquidRNN(lnn_keras.LiquidCell(2), return_sequences=True, name="one"),
                lnn_keras.LiquidRNN(lnn_keras.LiquidCell(2), name="two"),
            ]
        )
        cfc = lnn_keras.CfCCell(3)
        cfc.build((None, 2))
        for source, inputs, outputs, message in (
            (wiring, None, None, "number of inputs .* not known"),
            (wiring, 0, None, "`inputs` must be an integer of at least 1"),
            (wiring, 2, ["a"], "`outputs` must hold 2 names"),
            (cell, ["a"], None, "has 3 inputs; `inputs` gives 1"),
            (dense, None, None, "draws a cell, a recurrent layer"),
            (object(), None, None, "received object"),
            (two, None, None, "2 recurrent layers"),
            (cfc, None, None, "no weight per pair of neurons. wiring draws a wiring, LTCCell"),
            (lnn_keras.LiquidCell(3), None, None, "no weights yet"),
            (keras.layers.StackedRNNCells([cell]), None, None, "stacked"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.wiring(source, inputs, outputs)


class TestStates:
    def mesh(self, figure):
        return figure.axes[0].collections[0]

    def test_values_sample_and_times(self):
        values = random(2, 6, 3)
        figure = plot.states({"rnn": {"state": values, "elapsed": np.full((2, 6), 0.5)}}, sample=1)
        np.testing.assert_array_equal(self.mesh(figure).get_array(), values[1].T)
        assert figure.axes[0].get_xlim() == (0.25, 3.25)
        assert "time" in texts(figure)

    def test_missing_is_hatched_and_named(self):
        values = random(10, 4)
        values[7:] = np.nan
        figure = plot.states(values)
        assert figure.axes[0].patch.get_hatch()
        assert "masked or NaN (30.0%)" in texts(figure)
        assert not self.mesh(plot.states(random(3, 2))).get_array().mask.any()
        assert "(100.0%)" in texts(plot.states(np.full((3, 2), np.nan)))

    @pytest.mark.parametrize("values", [np.ones((5, 2)), np.zeros((1, 1)), random(3, 200)])
    def test_constant_single_step_and_many(self, values):
        low, high = self.mesh(plot.states(values)).get_clim()
        assert low < high

    def test_colours_are_monotone_in_grey(self):
        colors = matplotlib.colormaps[style.COLORMAP](np.linspace(0, 1, 20))
        assert (np.diff([luminance(color[:3]) for color in colors]) > 0).all()

    def test_bad_input(self):
        values = random(2, 6, 3)
        layers = {"a": {"state": values}, "b": {"state": values}}
        for arguments, message in (
            ((values[0, 0],), r"must have the shape \(time, units\)"),
            ((values, 2), "`sample` must be an integer from 0 to 1"),
            ((values, True), "`sample`"),
            ((values, 0, [1, 2]), r"with 6 steps; received \(2,\)"),
            ((values, 0, -1.0), "times of at least 0"),
            ((values, 0, np.zeros(6)), "not all of them 0"),
            ((values, 0, None, "state", ["a"]), "`names` must hold 3 names"),
            (("text",), "array of real numbers"),
            ((values[:, :0],), "at least one value"),
            (({"state": values}, 0, None, "gate"), "no 'gate'; it holds 'state'"),
            ((layers,), r"2 layers: 'a', 'b'. Give one"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.states(*arguments)


class TestTimeConstants:
    def test_lines(self):
        tau = np.exp(random(10, 5))
        figure = plot.time_constants(tau, signal=random(10, 6), time_unit="s")
        above, below = figure.axes
        np.testing.assert_allclose(
            lines_of(below)["median of 5 neurons"].get_ydata(), np.median(tau, axis=1)
        )
        assert below.get_yscale() == "log" and "(s)" in below.get_ylabel()
        assert len(above.get_lines()) == 4
        assert "Of 6 features of the signal, the 4" in texts(figure)
        assert not any("10^" in label.get_text() for label in below.get_yticklabels())

    def test_single_step_shows_a_point(self):
        figure = plot.time_constants(np.ones((1, 2)))
        assert lines_of(figure.axes[0])["median of 2 neurons"].get_marker() == "o"

    def test_gaps_constant_and_missing(self):
        tau = np.ones((6, 1))
        tau[2] = np.nan
        figure = plot.time_constants(tau)
        assert np.isnan(lines_of(figure.axes[0])["the neuron"].get_ydata()[2])
        assert "1 of 6 values of the time constants is missing" in texts(figure)
        assert "every value is missing" in texts(plot.time_constants(tau * np.nan))

    def test_bad_input(self):
        for tau, options, message in (
            (np.zeros((3, 2)), {}, "above 0"),
            (np.ones((3, 2)), {"signal": np.ones((4, 1))}, "as many steps"),
            (np.ones((3, 2)), {"names": ["a"]}, "received no signal"),
            (np.ones((3, 2)), {"signal": np.ones((3, 1)), "features": [1]}, "from 0 to 0"),
            (np.ones((3, 2)), {"signal": np.ones((3, 1)), "features": []}, "at least one"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.time_constants(tau, **options)


class TestPhasePortrait:
    def test_path_is_that_of_the_layer(self, cell):
        inputs = random(1, 8, 3).astype("float32")
        layer = keras.layers.RNN(cell, return_sequences=True)
        expected = keras.ops.convert_to_numpy(layer(inputs))[0]
        figure = plot.phase_portrait(layer, inputs, neurons=(1, 3))
        path = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 8][-1]
        np.testing.assert_allclose(path.get_xydata(), expected[:, [1, 3]], atol=1e-5)

    def test_field_is_the_equation(self, cell):
        from lnn_keras.plot.phase_portrait import GRID, _field

        row, last = random(3), random(4)
        grid = np.stack([np.linspace(-1, 1, GRID), np.linspace(0, 2, GRID)])
        change = _field(cell, row, None, last, [0, 2], grid)
        h = last.copy()
        h[0], h[2] = grid[0, 5], grid[1, 7]
        weights = {w.name: numpy(w) for w in cell.weights}
        z = row @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"]
        f = 1 / (1 + np.exp(-z))
        rate = -(np.exp(-weights["log_tau"]) + f) * h + f * weights["reversal"]
        np.testing.assert_allclose(change[:, 7, 5], rate[[0, 2]], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: lnn_keras.LTCCell(wirings.AutoNCP(6, 2)),
            lambda: lnn_keras.CfCCell(3, backbone_units=4),
            lambda: lnn_keras.ODERNNCell(3),
            lambda: lnn_keras.LEFCell(2),
            lambda: lnn_keras.MixedMemoryCell(lnn_keras.LiquidCell(3)),
            lambda: keras.layers.LSTMCell(2),
        ],
    )
    def test_cells(self, make):
        cell = make()
        cell.build((None, 2))
        elapsed = None if isinstance(cell, keras.layers.LSTMCell) else [0.5, 0.2, 0.1]
        figure = plot.phase_portrait(cell, random(3, 2), elapsed=elapsed)
        ode = isinstance(cell, lnn_keras.ODECell) and not isinstance(cell, lnn_keras.ODERNNCell)
        assert ("direction of change" if ode else "change in one step") in texts(figure)

    def test_single_step(self, cell):
        assert "after the last step" in texts(plot.phase_portrait(cell, random(1, 3)))

    def test_bad_input(self, cell):
        one = lnn_keras.LiquidCell(1)
        one.build((None, 3))
        missing = random(4, 3)
        missing[2, 0] = np.nan
        inputs = random(4, 3)
        for source, values, options, message in (
            (cell, missing, {}, "NaN or infinity at step 2"),
            (one, inputs, {}, "needs two neurons"),
            (cell, inputs, {"neurons": (0, 0)}, "two different"),
            (cell, inputs, {"neurons": (0, 4)}, "from 0 to 3"),
            (cell, inputs, {"held_step": 9}, "`held_step`"),
            (cell, inputs, {"names": ["a"]}, "must hold 2 names"),
            (lnn_keras.LiquidCell(3), inputs, {}, "not built"),
            (keras.layers.Dense(3), inputs, {}, "phase_portrait draws a cell"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.phase_portrait(source, values, **options)


class TestSaliency:
    def test_most_salient_features_first(self):
        signal, weights = random(2, 10, 7), np.zeros((2, 10, 7))
        weights[1, 3, 4], weights[1, 5, 2] = 3.0, -1.0
        figure = plot.saliency(signal, weights, sample=1)
        assert len(figure.axes) == 10
        titles = [axis.get_title(loc="left") for axis in figure.axes[::2]]
        assert titles[:2] == ["feature 4 · 75% of all saliency", "feature 2 · 25% of all saliency"]
        np.testing.assert_array_equal(figure.axes[0].get_lines()[1].get_ydata(), signal[1, :, 4])
        assert figure.axes[1].patches[0].get_data().values[3] == 3
        assert figure.axes[3].patches[1].get_hatch()
        assert "negative saliency" in texts(figure)

    def test_signal_is_readable_on_the_darkest_shade(self):
        figure = plot.saliency(np.ones((4, 1)), np.ones((4, 1)))
        shade = figure.axes[0].collections[0]
        assert luminance(shade.to_rgba(1.0)[:3]) > 0.25
        assert "negative" not in texts(figure)

    def test_zero_missing_and_single_step(self):
        signal = np.array([[1.0, np.nan, 2.0, np.nan]]).T
        shown = texts(plot.saliency(signal, 0 * signal))
        assert "2 of 4 values of the signal are missing" in shown
        assert "No value has a saliency other than 0" in shown
        figure = plot.saliency(np.ones((1, 1)), np.ones((1, 1)))
        assert figure.axes[0].get_lines()[1].get_marker() == "o"
        assert "every value is missing" in texts(plot.saliency(signal * np.nan, signal))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="the same shape"):
            plot.saliency(np.ones((3, 2)), np.ones((3, 1)))
        with pytest.raises(ValueError, match="`names` must hold 2 names"):
            plot.saliency(np.ones((3, 2)), np.ones((3, 2)), names=["a"])
        with pytest.raises(ValueError, match="shape"):
            plot.saliency(np.ones(3), np.ones(3))


class TestHistory:
    def test_curves_and_best_epoch(self):
        figure = plot.history({"loss": [3, 2, 1], "val_loss": [3, 1, 2], "mae": [1, 1, 1]})
        lines = lines_of(figure.axes[0])
        np.testing.assert_array_equal(lines["validation"].get_ydata(), [3, 1, 2])
        assert lines["best epoch, 2"].get_xdata()[0] == 2
        assert lines["training"].get_linestyle() != lines["validation"].get_linestyle()
        assert figure.axes[1].get_ylabel() == "mae"

    def test_of_fit_and_every_other_epoch(self):
        history = keras.callbacks.History()
        history.history = {"loss": [4.0, 3, 2, 1, 1], "val_loss": [2.0, 1]}
        figure = plot.history(history)
        np.testing.assert_array_equal(lines_of(figure.axes[0])["validation"].get_xdata(), [2, 4])

    def test_one_epoch_nan_and_wide_range(self):
        figure = plot.history({"loss": [1.0]})
        assert lines_of(figure.axes[0])["training"].get_marker() == "o"
        figure = plot.history({"loss": [1000, np.nan, 1]})
        assert figure.axes[0].get_yscale() == "log"
        assert "loss: 1 of 3 values are missing (NaN or infinite), the first one" in texts(figure)
        assert "every value is missing" in texts(plot.history({"loss": [np.nan] * 3}))

    def test_bad_input(self):
        for history, message in (
            ({}, "no epoch has ended"),
            (3, "result of `fit`"),
            ({"loss": [1, 2, 3], "val_loss": [1]}, "give NaN"),
            ({"loss": [[1, 2]]}, "one number per epoch"),
            ({"loss": ["a"]}, "real numbers"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.history(history)
        with pytest.raises(ValueError, match="metrics of the history: loss; received 'mae'"):
            plot.history({"loss": [1]}, metrics=["mae"])


class TestCalibration:
    def observed(self, figure):
        return lines_of(figure.axes[0])["observed"].get_xydata() / 100

    @pytest.mark.parametrize("family", ["gaussian", "gamma", "poisson"])
    def test_right_distributions_lie_on_the_diagonal(self, family):
        draws = np.random.default_rng(0)
        mean = draws.uniform(1, 9, 20_000)
        variance = mean * draws.uniform(0.2, 2, mean.shape)
        if family == "gaussian":
            targets = draws.normal(mean, np.sqrt(variance))
        elif family == "gamma":
            targets = draws.gamma(mean**2 / variance, variance / mean)
        else:
            targets, variance = draws.poisson(mean), None
        points = self.observed(
            plot.calibration(targets, mean=mean, variance=variance, family=family)
        )
        np.testing.assert_allclose(points[:, 1], points[:, 0], atol=0.012)

    def test_of_natural_parameters(self):
        family = families.get("gaussian")
        eta = np.tile([[0.0, -0.5]], (500, 1)).astype("float32")
        points = self.observed(
            plot.calibration(random(500), mean=family.mean(eta), variance=family.variance(eta))
        )
        np.testing.assert_allclose(points[:, 1], points[:, 0], atol=0.08)

    def test_intervals(self):
        targets = np.array([0.0, 1.0, 2.0, np.nan])
        ends = np.array([[0.5] * 4, [1.5] * 4])
        figure = plot.calibration(targets, -ends, ends, levels=[0.9, 0.5])
        np.testing.assert_allclose(self.observed(figure), [[0.5, 2 / 3], [0.9, 1 / 3]])
        assert "Calibration on 3 values" in texts(figure)
        assert "1 values without target" in texts(figure)
        one = plot.calibration(targets, -ends[0], ends[0], levels=0.5)
        np.testing.assert_allclose(self.observed(one), [[0.5, 1 / 3]])

    def test_bernoulli(self):
        figure = plot.calibration([1, 0, 1, 1], mean=[0.5, 0.5, 0.95, 0.95], family="bernoulli")
        np.testing.assert_allclose(self.observed(figure), [[0.5, 0.5], [0.95, 1.0]])
        assert "probability too low" in texts(figure)

    def test_nothing_known(self):
        nothing = np.full(3, np.nan)
        assert "no value is known" in texts(
            plot.calibration(nothing, mean=nothing, variance=nothing)
        )

    def test_incomplete_gamma_function(self):
        stats = pytest.importorskip("scipy.special")
        a, x = np.meshgrid([0.01, 0.5, 3, 50, 900], [1e-6, 0.3, 4, 60, 1000])
        found = distributions.regularized_gamma(a.ravel(), x.ravel())
        np.testing.assert_allclose(found, stats.gammainc(a, x).ravel(), atol=1e-9)

    def test_bad_input(self):
        y = np.ones(3)
        for options, message in (
            ({}, "received neither"),
            ({"mean": y, "lower": y, "upper": y}, "received both"),
            ({"lower": y, "upper": y}, "Intervals need all"),
            ({"lower": y, "upper": y, "levels": 1.5}, "`levels` must be numbers above 0"),
            ({"lower": y, "upper": y, "levels": [0.1, 0.2]}, r"must have the shape \(2, 3\)"),
            ({"lower": y, "upper": y - 1, "levels": 0.5}, "`lower` must not be above"),
            ({"mean": y}, "needs `variance`"),
            ({"mean": y[:2], "variance": y}, "`mean` must have the shape of `targets`"),
            ({"mean": y, "variance": -y}, "Variances of 'gaussian' must be above 0"),
            ({"mean": y, "variance": y, "family": "cauchy"}, "Unknown family 'cauchy'"),
            ({"mean": 2 * y, "family": "bernoulli"}, "probabilities from 0 to 1"),
            ({"mean": -y, "family": "poisson"}, "counts 0, 1, 2"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.calibration(y, **options)


class TestPrediction:
    def test_lines_error_and_interval(self):
        target = random(2, 9, 2)
        figure = plot.prediction(
            target, target + 0.5, target - 1, target + 1, sample=1, outputs=[1]
        )
        above, below = figure.axes
        np.testing.assert_array_equal(lines_of(above)["true"].get_ydata(), target[1, :, 1])
        np.testing.assert_allclose(below.get_lines()[-1].get_ydata(), 0.5)
        assert "root mean square 0.5" in texts(figure)
        assert "interval" in texts(figure)

    def test_gaps_single_step_and_nothing(self):
        target = random(9)
        target[4] = np.nan
        shown = texts(plot.prediction(target, np.ones(9)))
        assert "1 of 9 values of the target is missing" in shown
        figure = plot.prediction([1.0], [2.0])
        assert all(line.get_marker() == "o" for line in figure.axes[0].get_lines())
        nothing = np.full(4, np.nan)
        assert "no step has both values" in texts(plot.prediction(nothing, nothing))

    def test_bad_input(self):
        y = np.ones(3)
        for arguments, message in (
            ((y, y[:2]), "same shape; received `target`"),
            ((y, y, y), "both `lower` and `upper`"),
            ((y, y, y, y - 1), "`lower` must not be above `upper`; it is at 3"),
            ((y, y, None, None, 1), "`sample`"),
            ((y, y, None, None, 0, ["a", "b"]), "must hold 1 names"),
            ((np.ones((1, 1, 1, 1)),) * 2, "must have the shape"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.prediction(*arguments)


class TestDrift:
    def test_means_of_the_last_errors(self):
        errors = np.arange(10.0)
        figure = plot.drift({"frozen": errors, "other": errors + 1}, change=4, smoothing=3)
        lines = lines_of(figure.axes[0])
        np.testing.assert_allclose(lines["frozen"].get_xdata(), np.arange(2, 10) - 4)
        np.testing.assert_allclose(lines["frozen"].get_ydata(), np.arange(1, 9))
        assert lines["frozen"].get_linestyle() != lines["other"].get_linestyle()
        assert "each the mean of the last 3" in texts(figure)

    def test_window_gaps_and_single_step(self):
        errors = np.ones(100)
        errors[50] = np.nan
        figure = plot.drift(errors, change=40, before=10, after=20, smoothing=1)
        line = lines_of(figure.axes[0])["error"]
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (-10, 20)
        assert np.isnan(line.get_ydata()).sum() == 1
        assert "1 of 100 values of the errors of error is missing" in texts(figure)
        assert lines_of(plot.drift([1.0]).axes[0])["error"].get_marker() == "o"

    def test_bad_input(self):
        for errors, options, message in (
            ({}, {}, "at least one series"),
            ({"a": [1], "b": [1, 2]}, {}, "same shape"),
            ([-1.0], {}, "at least 0"),
            ([1.0], {"change": 1}, "`change` must be below"),
            ([1.0], {"smoothing": 2}, "`smoothing` must be at most"),
            ([1.0], {"smoothing": 0}, "`smoothing`"),
        ):
            with pytest.raises(ValueError, match=message):
                plot.drift(errors, **options)


@pytest.mark.parametrize("name", plot.__all__)
def test_example_runs(name):
    text = getattr(plot, name).__doc__
    code = text.split("```python\n")[1].split("```")[0]
    code = "\n".join(line[4:] for line in code.splitlines())
    space = {"np": np, "lnn_keras": lnn_keras}
    code = "\n".join(line for line in code.splitlines() if "savefig" not in line)
    exec(code, space)
    assert isinstance(space["figure"], matplotlib.figure.Figure)
