"""PhysioNet 2012, set A: 4,000 stays in intensive care, what was measured in their first 48 hours.

Silva et al., Predicting in-hospital mortality of ICU patients, 2012. ODC-By 1.0.
"""

import csv

import numpy as np

from zoo.data.dataset import Dataset

STATIC = ("Age", "Gender", "Height", "ICUType", "Weight")
VITALS = tuple(
    "Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR "
    "K Lactate Mg MAP MechVent Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 "
    "SysABP Temp TroponinI TroponinT Urine WBC Weight".split()
)
HOURS = 48.0
MISSING = -1.0

DATASET = Dataset(
    name="physionet2012",
    title="PhysioNet/Computing in Cardiology Challenge 2012, set A (Silva et al.)",
    source=(
        "https://raw.githubusercontent.com/AbdelrahmanManz/ICU-Mortality-Predictor/"
        "7037a4f84275e146be51bae44ceaa11e687269b8/"
    ),
    license="ODC-By-1.0",
)


def stays() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The stays in the order of their numbers.

    Returns:
        Of each stay (times, 1 + 37): hours since admission, then `VITALS`, NaN where one was not
        measured at that time; static (4000, 5), NaN where unknown; deaths (4000,), 0 or 1.
    """
    measured, static, deaths, _ = _parsed()
    return measured, static, deaths


def afterwards() -> tuple[np.ndarray, np.ndarray]:
    """How the stays went on, in the order of `stays`; for targets, never for inputs.

    Returns:
        Days in hospital, and days until death where one is recorded, in hospital or after it;
        both counted from admission to intensive care, (4000,), NaN where unknown.
    """
    outcomes = sorted(_outcomes(DATASET.fetch()), key=lambda row: row["RecordID"])
    days = np.array(
        [[float(row[name]) for name in ("Length_of_stay", "Survival")] for row in outcomes]
    )
    stayed, survived = np.where(days == MISSING, np.nan, days).T
    return stayed, survived


def split(seed: int, stays: int = 4000) -> dict[str, np.ndarray]:
    """Numbers of stays: 20 % test, 8 % validation and 72 % train, for a seed."""
    order = np.random.RandomState(seed).permutation(stays)
    test, validation = stays // 5, stays * 2 // 25
    return {
        "train": order[test + validation :],
        "validation": order[test : test + validation],
        "test": order[:test],
    }


def summary() -> dict[str, int]:
    """What the files hold, by count."""
    measured, _, deaths, bad = _parsed()
    return {
        "stays": len(measured),
        "deaths": int(deaths.sum()),
        "stays without a vital sign": sum(len(stay) == 0 for stay in measured),
        "rows that are no measurement": bad,
    }


def _parsed():
    paths = DATASET.fetch()
    outcomes = {row["RecordID"]: row["In-hospital_death"] for row in _outcomes(paths)}
    names = sorted(name for name in paths if name.startswith("set-a/"))
    parsed = [_stay(paths[name]) for name in names]
    numbers = [name[len("set-a/") : -len(".txt")] for name in names]
    deaths = np.array([int(outcomes[number]) for number in numbers])
    measured, static, bad = zip(*parsed, strict=True)
    return list(measured), np.stack(static), deaths, sum(bad)


def _outcomes(paths):
    with paths["Outcomes-a.txt"].open(newline="") as file:
        return list(csv.DictReader(file))


def _stay(path):
    static = dict.fromkeys(STATIC, np.nan)
    rows: dict[float, np.ndarray] = {}
    bad = 0
    with path.open(newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for time, parameter, text in lines:
            hours, minutes = time.split(":")
            time, value = int(hours) + int(minutes) / 60, float(text)
            if parameter in static and time == 0:
                static[parameter] = np.nan if value == MISSING else value
            # A row without a name, or a weight of -1 later on, says nothing.
            if parameter in ("RecordID", *STATIC[:4]):
                continue
            if parameter not in VITALS or value == MISSING:
                bad += parameter not in VITALS
                continue
            row = rows.setdefault(time, np.full(len(VITALS), np.nan))
            row[VITALS.index(parameter)] = value
    times = sorted(rows)
    measured = np.array([[time, *rows[time]] for time in times], "float32")
    return measured.reshape(-1, 1 + len(VITALS)), np.array(list(static.values())), bad
