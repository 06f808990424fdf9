"""Heartbeats beside those before them: what of a beat does not depend on whose heart it is.

A beat is compared with a template, the running mean of the same patient's beats, which a beat that
looks unlike it hardly moves:

    template += 0.1 max(r, 0.05)^2 (beat - template)      r: correlation of their QRS complexes

and its RR intervals, before and after, with those of the beats before. Nothing later than the next
beat is looked at, so a beat can be judged as soon as that has come.
"""

import numpy as np

HERTZ = 120
DECIMATION = 3
BEFORE, AFTER = 48, 60
# Samples of the window, at 120 Hz: 0.3 to 0.075 s before the peak, around it, up to 0.45 s after.
WAVES = {"P": slice(12, 39), "QRS": slice(39, 61), "T": slice(61, 102)}
RECENT = 12
FEATURES = 35


def features(signal: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Numbers of each beat, of its shape and its RR intervals: float32 (beats, 35).

    Args:
        signal: One lead, millivolts at 360 Hz: (samples,).
        peaks: Sample of each beat's R peak, rising.

    Raises:
        ValueError: There are fewer than two beats.
    """
    if len(peaks) < 2:
        raise ValueError(f"At least 2 beats are needed; received {len(peaks)}.")
    shape = _shape(_windows(signal, peaks))
    rhythm = _rhythm(np.asarray(peaks) / (HERTZ * DECIMATION))
    return np.concatenate([shape, rhythm], axis=1).astype("float32")


def _windows(signal, peaks):
    """Each beat, 0.5 to 40 Hz, without its median, in units of the usual beat's height."""
    from scipy.signal import butter, sosfilt

    band = butter(2, [0.5, 40], "bandpass", fs=HERTZ * DECIMATION, output="sos")
    filtered = np.pad(sosfilt(band, signal)[::DECIMATION], (BEFORE, AFTER), mode="edge")
    starts = np.round(np.asarray(peaks) / DECIMATION).astype(int)
    windows = filtered[starts[:, None] + np.arange(BEFORE + AFTER)]
    windows = windows - np.median(windows, axis=1, keepdims=True)
    return windows / (_running_mean(np.ptp(windows, axis=1), 0.02)[:, None] + 0.1)


def _shape(beats):
    templates, before = _templates(beats), np.concatenate([beats[:1], beats[:-1]])
    columns = []
    for wave in WAVES.values():
        beat, template, last = (_centred(x[:, wave]) for x in (beats, templates, before))
        energy = _log_energy(beat)
        columns += [
            _correlation(beat, template),
            _correlation(beat, last),
            _log_energy(beats[:, wave] - templates[:, wave]),
            energy,
            energy - _log_energy(template),
        ]
    width, complex_ = _width(beats), beats[:, WAVES["QRS"]]
    columns += [
        width,
        width - _width(templates),
        beats[:, BEFORE],
        beats[:, BEFORE] - templates[:, BEFORE],
        np.ptp(complex_, axis=1) - np.ptp(templates[:, WAVES["QRS"]], axis=1),
        complex_.max(axis=1),
        complex_.min(axis=1),
    ]
    return np.stack(columns, axis=1)


def _rhythm(times):
    """Logarithms of the RR intervals before and after a beat, over those of the beats before."""
    interval = np.clip(np.diff(times, prepend=times[0] - 0.8), 0.2, 3)
    following = np.append(interval[1:], interval[-1])
    log_interval, log_following = np.log(interval), np.log(following)
    padded = np.concatenate([np.full(RECENT, interval[0]), interval[:-1]])
    recent = np.lib.stride_tricks.sliding_window_view(padded, RECENT)
    references = [
        _running_mean(log_interval, 0.003),
        np.log(_running_mean(interval, 0.1)),
        np.log(_running_mean(interval, 0.003)),
        np.log(np.median(recent, axis=1)),
        # The longest but one, which one pause alone does not set.
        np.log(np.sort(recent, axis=1)[:, -2]),
    ]
    columns = [x - usual for usual in references for x in (log_interval, log_following)]
    before = np.concatenate([log_interval[:1], log_interval[:-1]])
    irregularity = np.abs(np.diff(np.log(recent), axis=1)).mean(axis=1)
    columns += [log_interval - before, log_following - log_interval, np.log(irregularity + 0.01)]
    return np.stack(columns, axis=1)


def _templates(beats):
    """The template that each beat is compared with, made of those before it."""
    around, template = slice(BEFORE - 14, BEFORE + 20), beats[0]
    found = np.empty_like(beats)
    for i, beat in enumerate(beats):
        found[i] = template
        likeness = max(_correlation(beat[around], template[around]), 0.05)
        template = template + 0.1 * likeness**2 * (beat - template)
    return found


def _running_mean(values, rate):
    """The exponential mean of the values before each one; of the first few, the plain one."""
    found, mean = np.empty(len(values)), values[0]
    for i, value in enumerate(values):
        found[i] = mean
        mean = mean + max(rate, 1 / (i + 2)) * (value - mean)
    return found


def _width(beats):
    """Share of the QRS complex's window that holds 80 % of its ups and downs."""
    steps = np.abs(np.diff(beats[:, BEFORE - 18 : BEFORE + 25], axis=1))
    share = np.cumsum(steps, axis=1) / (steps.sum(axis=1, keepdims=True) + 1e-6)
    return ((share < 0.9).sum(axis=1) - (share < 0.1).sum(axis=1)) / steps.shape[1]


def _centred(windows):
    return windows - windows.mean(axis=1, keepdims=True)


def _log_energy(windows):
    return np.log((windows**2).mean(axis=1) + 1e-3)


def _correlation(a, b):
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1) + 1e-3)
